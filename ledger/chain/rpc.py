"""The Ethereum JSON-RPC methods the embedded node answers: reads, and one way to send.

Errors are worded and numbered as geth does it: 3 with `data` for a revert, -32000 for what cannot be
executed, -32602 for a parameter that is not well formed, -32601 for any method not in the list.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from eth.abc import BlockHeaderAPI
from eth_typing import Address

from ledger.chain import wire
from ledger.chain.chainfile import Chain
from ledger.chain.evm import View, contract_address, decode, floor_gas
from ledger.chain.miner import Miner
from ledger.chain.wire import RpcError, data, hexed, quantity

CLIENT = "Shuzheng/0.1 (py-evm, Prague)"
LOGS_MAX = 10_000
LOG_BYTES_MAX = 4 * 2**20
TOPICS_MAX = 4
HEIGHT_MAX = 2**63 - 1  # what an SQLite integer holds
CHOICES_MAX = 100  # addresses, or topics at one place, of a log filter
FEE_HISTORY_MAX = 1024
Json = Any
LOG_ROWS = (
    "SELECT log.block_number, log.log_index, log.tx_index, log.address, topic0, topic1, topic2, topic3,"
    " log.data, tx.hash, block.hash FROM log"
    " JOIN tx ON tx.block_number = log.block_number AND tx.tx_index = log.tx_index"
    " JOIN block ON block.number = log.block_number"
)


class Rpc:
    """The read methods over one chain. `call` is safe to use from any thread."""

    def __init__(self, chain: Chain, miner: Miner) -> None:
        self.chain, self.miner = chain, miner
        self.methods: Mapping[str, tuple[Callable[..., Json], int, int]] = {
            "web3_clientVersion": (lambda _: CLIENT, 0, 0),
            "net_version": (lambda _: str(chain.chain_id), 0, 0),
            "eth_chainId": (lambda _: hex(chain.chain_id), 0, 0),
            "eth_syncing": (lambda _: False, 0, 0),
            "eth_gasPrice": (lambda _: "0x0", 0, 0),
            "eth_maxPriorityFeePerGas": (lambda _: "0x0", 0, 0),
            "eth_blockNumber": (lambda _: hex(chain.head.block_number), 0, 0),
            "eth_feeHistory": (self._fee_history, 2, 3),
            "eth_getBalance": (self._balance, 1, 2),
            "eth_getCode": (self._code, 1, 2),
            "eth_getStorageAt": (self._storage, 2, 3),
            "eth_getTransactionCount": (self._nonce, 1, 2),
            "eth_call": (self._call, 1, 2),
            "eth_estimateGas": (self._estimate, 1, 2),
            "eth_getBlockByNumber": (self._block_by_number, 1, 2),
            "eth_getBlockByHash": (self._block_by_hash, 1, 2),
            "eth_getTransactionByHash": (self._transaction, 1, 1),
            "eth_getTransactionReceipt": (self._receipt, 1, 1),
            "eth_getLogs": (self._logs, 1, 1),
        }

    def call(self, method: str, params: list[Json]) -> Json:
        """The result of a read method; raises RpcError."""
        if method not in self.methods:
            raise RpcError(-32601, f"the method {method[:80]} does not exist/is not available")
        answer, least, most = self.methods[method]
        while params and params[-1] is None:
            params = params[:-1]
        if not least <= len(params) <= most:
            raise RpcError(
                -32602, f"{method} takes {least} to {most} parameters, not {len(params)}"
            )
        with self.chain.reading() as view:
            return answer(view, *params)

    def _header(self, view: View, at: Json) -> BlockHeaderAPI | None:
        """The header of a tag, number or EIP-1898 object; `pending` has the time a block would have."""
        head = self.chain.head
        match at:
            case "latest" | "safe" | "finalized":
                return head
            case "pending":
                return self.chain.next_header(int(self.miner.clock()))
            case "earliest":
                return view.header(0)
            case {"blockHash": given}:
                return view.header_by_hash(data(given, 32))
            case {"blockNumber": given}:
                return self._header(view, given)
            case _:
                number = quantity(at)
                return view.header(number) if number <= head.block_number else None

    def _known_header(self, view: View, at: Json) -> BlockHeaderAPI:
        header = self._header(view, at)
        if header is None:
            raise RpcError(-32000, "header not found")
        return header

    def _balance(self, view: View, address: Json, at: Json = "latest") -> str:
        return hex(view.state(self._known_header(view, at)).get_balance(Address(data(address, 20))))

    def _code(self, view: View, address: Json, at: Json = "latest") -> str:
        return hexed(view.state(self._known_header(view, at)).get_code(Address(data(address, 20))))

    def _storage(self, view: View, address: Json, slot: Json, at: Json = "latest") -> str:
        place = wire.slot(slot)
        state = view.state(self._known_header(view, at))
        return f"0x{state.get_storage(Address(data(address, 20)), place):064x}"

    def _nonce(self, view: View, address: Json, at: Json = "latest") -> str:
        owner = data(address, 20)
        nonce = view.state(self._known_header(view, at)).get_nonce(Address(owner))
        return hex(self.miner.pending_nonce(owner, nonce) if at == "pending" else nonce)

    def _fee_history(self, view: View, count: Json, newest: Json, shares: Json = None) -> Json:
        wanted = count if type(count) is int else quantity(count)
        last = self._known_header(view, newest).block_number
        first = max(0, last - min(wanted, FEE_HISTORY_MAX) + 1)
        headers = [h for n in range(first, last + 1) if (h := view.header(n)) is not None]
        found: dict[str, Json] = {
            "oldestBlock": hex(first),
            "baseFeePerGas": ["0x0"] * (len(headers) + 1),
            "gasUsedRatio": [h.gas_used / h.gas_limit for h in headers],
            "baseFeePerBlobGas": ["0x1"] * (len(headers) + 1),
            "blobGasUsedRatio": [0.0] * len(headers),
        }
        if isinstance(shares, list):
            found["reward"] = [["0x0"] * min(len(shares), 100)] * len(headers)
        return found

    def _call(self, view: View, message: Json, at: Json = "latest") -> str:
        return hexed(wire.run(view, wire.message(message), self._known_header(view, at)).output)

    def _estimate(self, view: View, message: Json, at: Json = "latest") -> str:
        """Gas that is enough, found by halving, at most 1.5 % above the least that is, as geth does it."""
        call, header = wire.message(message), self._known_header(view, at)
        used = call.gas - wire.run(view, call, header).get_gas_remaining()
        most = max(
            used, floor_gas(call)
        )  # enough unless some call hands on only 63/64 of what it has
        if not view.execute(replace(call, gas=most), header).is_error:
            return hex(most)
        least, most = most, call.gas
        tried = min(most, least * 64 // 63 + 2300)
        while most - least > most * 15 // 1000:
            if view.execute(replace(call, gas=tried), header).is_error:
                least = tried
            else:
                most = tried
            tried = min((least + most) // 2, least * 2)
        return hex(most)

    def _block_by_number(self, view: View, at: Json, full: Json = False) -> Json:
        return self._block(view, self._header(view, at), full)

    def _block_by_hash(self, view: View, block_hash: Json, full: Json = False) -> Json:
        return self._block(view, view.header_by_hash(data(block_hash, 32)), full)

    def _block(self, view: View, header: BlockHeaderAPI | None, full: Json) -> Json:
        if header is None:
            return None
        if not isinstance(full, bool):
            raise RpcError(-32602, "the second parameter is true for whole transactions, or false")
        rows = view.rows.execute(
            "SELECT raw FROM tx WHERE block_number = ? ORDER BY tx_index", (header.block_number,)
        )
        transactions = [decode(row[0]) for row in rows]
        return wire.block(
            header, transactions, full, header.block_number > self.chain.head.block_number
        )

    def _transaction(self, view: View, tx_hash: Json) -> Json:
        wanted = data(tx_hash, 32)
        row = view.rows.execute(
            "SELECT tx.raw, block.hash, tx.block_number, tx.tx_index FROM tx"
            " JOIN block ON block.number = tx.block_number WHERE tx.hash = ?",
            (wanted,),
        ).fetchone()
        if row is not None:
            return wire.transaction(decode(row[0]), *row[1:])
        ticket = self.miner.pending(wanted)
        return None if ticket is None else wire.transaction(ticket.transaction)

    def _receipt(self, view: View, tx_hash: Json) -> Json:
        row = view.rows.execute(
            "SELECT tx.*, block.hash FROM tx JOIN block ON block.number = tx.block_number"
            " WHERE tx.hash = ?",
            (data(tx_hash, 32),),
        ).fetchone()
        if row is None:
            return None
        known_hash, number, index, sender, raw, status, gas_used, cumulative, block_hash = row
        transaction = decode(raw)
        events = view.rows.execute(
            f"{LOG_ROWS} WHERE log.block_number = ? AND log.tx_index = ? ORDER BY log.log_index",
            (number, index),
        ).fetchall()
        creation = transaction.to == b""
        made = hexed(contract_address(sender, transaction.nonce)) if creation else None
        return {
            "transactionHash": hexed(known_hash),
            "transactionIndex": hex(index),
            "blockHash": hexed(block_hash),
            "blockNumber": hex(number),
            "from": hexed(sender),
            "to": None if creation else hexed(transaction.to),
            "cumulativeGasUsed": hex(cumulative),
            "gasUsed": hex(gas_used),
            "effectiveGasPrice": hex(wire.price(transaction)),
            "contractAddress": made,
            "logs": [wire.log(event) for event in events],
            "logsBloom": wire.bloom(events),
            "type": hex(transaction.type_id or 0),
            "status": hex(status),
        }

    def _logs(self, view: View, wanted: Json) -> Json:
        """Events by block range or hash, addresses and topics; at most `LOGS_MAX`, oldest first."""
        if not isinstance(wanted, dict):
            raise RpcError(-32602, "a log filter is an object")
        if wanted.keys() - {"fromBlock", "toBlock", "blockHash", "address", "topics"}:
            raise RpcError(
                -32602, "a log filter has fromBlock, toBlock or blockHash, address, topics"
            )
        if wanted.get("blockHash") is not None:
            if wanted.get("fromBlock") is not None or wanted.get("toBlock") is not None:
                raise RpcError(-32602, "cannot specify both BlockHash and FromBlock/ToBlock")
            header = view.header_by_hash(data(wanted["blockHash"], 32))
            if header is None:
                raise RpcError(-32000, "unknown block")
            first = last = int(header.block_number)
        else:
            first = self._height(wanted.get("fromBlock") or "latest")
            last = self._height(wanted.get("toBlock") or "latest")
            if first > last:
                raise RpcError(-32602, "invalid block range params")
        terms: list[str] = ["log.block_number BETWEEN ? AND ?"]
        values: list[Json] = [first, last]
        topics = wanted.get("topics") or []
        if not isinstance(topics, list) or len(topics) > TOPICS_MAX:
            raise RpcError(-32602, "topics is a list of at most 4")
        columns = [("address", wanted.get("address"), 20)]
        columns += [(f"topic{place}", topic, 32) for place, topic in enumerate(topics)]
        for column, given, length in columns:
            if given is None or given == []:
                continue
            choices = given if isinstance(given, list) else [given]
            if len(choices) > CHOICES_MAX:
                raise RpcError(-32602, f"at most {CHOICES_MAX} values at one place of a log filter")
            if None in choices:
                continue  # any
            terms.append(f"log.{column} IN ({','.join('?' * len(choices))})")
            values += [data(choice, length) for choice in choices]
        if topics:  # a filter of n places never matches an event with fewer topics
            terms.append(f"log.topic{len(topics) - 1} IS NOT NULL")
        where = " AND ".join(terms)  # our own words; what was given stands in `values`
        rows = view.rows.execute(
            f"{LOG_ROWS} WHERE {where} ORDER BY log.block_number, log.log_index", values
        )
        found, size = list[Json](), 0
        for row in rows:
            size += len(row[8])
            if len(found) == LOGS_MAX or size > LOG_BYTES_MAX:
                rows.close()
                raise RpcError(
                    -32005, f"query returned more than {LOGS_MAX} results, or too much data"
                )
            found.append(wire.log(row))
        return found

    def _height(self, at: Json) -> int:
        match at:
            case "latest" | "safe" | "finalized" | "pending":
                return self.chain.head.block_number
            case "earliest":
                return 0
            case _:
                return min(quantity(at), HEIGHT_MAX)
