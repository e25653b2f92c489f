"""What outsiders get in the demo, how they check it, and what a liar would try."""

import json
from pathlib import Path
from typing import Any

from ledger import handoff, papers, vouchers
from ledger.chain import keys
from ledger.proof import bundle as bundles
from ledger.proof import verify as verifier
from ledger.proof.encoding import canonical, parse, parse_instant
from ledger.proof.report import VERDICTS, print_report
from webapp import home as homes
from webapp.cli.proofs import pack_package
from webapp.cli.run import read_document
from webapp.demo_telling import DATA, Telling
from webapp.language import tr, translate

HANDED_OUT = ("bundle.json", "voucher.pdf", "package.zip", "status.json", "voucher.json")


class OutsiderSteps(Telling):
    """The listing package, its verification, and forgeries that are refused."""

    def package(self) -> None:
        self.head("Hand-off (移交): the listing package for the exchange")
        if not self.handed_out():
            self.hand_out()
        package = (self.folder / "package.zip").read_bytes()
        self.line("{count} files in {path}, among them {documents} documents of the listing.",
                  count=len(bundles.read_zip(package)), path=str(self.folder / "package.zip"),
                  documents=len(handoff.DOCUMENTS))  # fmt: skip

    def handed_out(self) -> bool:
        """Whether an earlier run has handed out everything, with a status list that is still good."""
        if not all((self.folder / name).exists() for name in HANDED_OUT):
            return False
        listed = parse((self.folder / "status.json").read_bytes())
        return homes.clock() < parse_instant(listed["validUntil"])

    def hand_out(self) -> None:
        """Pack the package, and write what outsiders get."""
        pricing = read_document(DATA / "demo" / "pricing.yaml")
        self.run.now = homes.clock()
        self.worker.publish_status(homes.clock(), force=self.status_is_old())
        packed = pack_package(self.run, "zhou", self.voucher_number, pricing)
        deployment = self.run.home.config.deployment
        with self.run.home.reading() as session:
            found = vouchers.by_number(session, self.voucher_number)
            status = vouchers.current_status(session)
            assert status is not None
            bundle = handoff.voucher_bundle(session, found, deployment)
            documents = {
                "bundle.json": canonical(bundle),
                "voucher.pdf": papers.voucher_pdf(bundle),
                "package.zip": self.run.home.material(packed["digest"]),
                "status.json": canonical(status.list_credential),
                "voucher.json": canonical(found.credential),
            }
        for name, data in documents.items():
            keys.write_durably(self.folder / name, data)

    def status_is_old(self) -> bool:
        """Whether the list was published by the story's turned calendar."""
        with self.run.home.reading() as session:
            current = vouchers.current_status(session)
            return current is None or current.published_at < self.today

    def verification(self, url: str) -> None:
        self.head("Verification by an outsider: trust file, no database; online and offline")
        for name in ("package.zip", "voucher.pdf", "bundle.json", "voucher.json"):
            for rpc in (url, None):
                report = self.verify(self.folder / name, rpc)
                self.line("{name}, {way}: {verdict}, {steps} steps", name=name,
                          way=tr("online") if rpc else tr("offline"), steps=len(report.steps),
                          verdict=translate(VERDICTS[report.exit_code]))  # fmt: skip
                if report.exit_code != verifier.VALID:
                    print_report(report, translate)
                    raise AssertionError(f"{name} does not verify")
        for step in report.steps:
            self.line("  {name}: {text}", name=translate(step.name), text=step.sentence(translate))

    def tampering(self, url: str) -> None:
        self.head("What a liar would try: bytes changed in copies, and which step refuses each")
        folder = self.folder / "tampered"
        folder.mkdir(exist_ok=True)
        for name, (label, data, trust) in forgeries(self.folder, folder).items():
            path = folder / name
            path.write_bytes(data)
            report = self.verify(path, url, trust)
            refused = next((s for s in report.steps if s.outcome != verifier.VALID), None)
            self.line("{label} → {verdict}, at {step}: {why}", label=tr(label),
                      verdict=translate(VERDICTS[report.exit_code]),
                      step=translate(refused.name) if refused else "-",
                      why=refused.sentence(translate) if refused else "-")  # fmt: skip
            if report.exit_code == verifier.VALID:
                raise AssertionError(f"{name} was not refused")


def forgeries(folder: Path, scratch: Path) -> dict[str, tuple[str, bytes, Path | None]]:
    """Copies of the demo's files with something changed: name → (what, bytes, trust file or None)."""
    package = (folder / "package.zip").read_bytes()
    bundle = parse((folder / "bundle.json").read_bytes())
    voucher = parse((folder / "voucher.json").read_bytes())

    def changed(document: Any, *path: Any, to: Any) -> bytes:
        copy = json.loads(json.dumps(document))
        place = copy
        for key in path[:-1]:
            place = place[key]
        place[path[-1]] = to
        return canonical(copy)

    hashes = list(bundle["inclusion"])
    hashes[0] = ("0" if hashes[0][0] != "0" else "1") + hashes[0][1:]
    files = bundles.read_zip(package)
    table = bytearray(package)
    table[10] ^= 1  # the time stamp of the first member: no file's content changes
    page = bytearray((folder / "voucher.pdf").read_bytes())
    page[len(page) // 2] ^= 1
    trust = parse((folder / "trust.json").read_bytes())
    other = json.loads(json.dumps(trust))
    other["chain"]["genesis"] = "0x" + "11" * 32
    (scratch / "other-chain-trust.json").write_bytes(canonical(other))
    stranger = json.loads(json.dumps(trust))
    stranger["credential_keys"][0]["did"] = (
        "did:key:z6MkrJVnaZkeFzdQyMZu1cgjg7k1pZZ6pvBQ7XJPt4swbTQ2"
    )
    (scratch / "other-issuer-trust.json").write_bytes(canonical(stranger))
    note = bundle["checkpoint"].split("\n")
    size = int(note[1])
    grown = "\n".join([note[0], str(size + 1), *note[2:]])
    revalued = json.loads(files["data/records/appraisal.json"])
    revalued["payload"]["body"]["value_fen"] *= 10
    return {
        "voucher-title.json": (
            "the voucher's title", changed(voucher, "credentialSubject", "title", to="别的产品"), None,
        ),
        "bundle-payload.json": (
            "the rights in the bundle's record",
            changed(bundle, "payload", "body", "rights", to=["holding", "use", "operating"]), None,
        ),
        "bundle-proof.json": (
            "a hash of the inclusion proof", changed(bundle, "inclusion", to=hashes), None,
        ),
        "bundle-checkpoint.json": (
            "the tree size in the checkpoint", changed(bundle, "checkpoint", to=grown), None,
        ),
        "bundle-discloses.json": (
            "the holder's name in the disclosure",
            changed(bundle, "disclosures", "holder_name", "value", to="别的公司"), None,
        ),
        "bundle-status.json": (
            "the status list's term",
            changed(bundle, "status", "validUntil", to="2099-01-01T00:00:00Z"), None,
        ),
        "bundle-spaces.json": (
            "one space more in the file", (folder / "bundle.json").read_bytes() + b" ", None,
        ),
        "package-value.zip": (
            "the appraised value in the package",
            bundles.write_zip({**files, "data/records/appraisal.json": canonical(revalued)}), None,
        ),
        "package-extra.zip": (
            "one more file in the package", bundles.write_zip({**files, "data/extra.txt": b"x"}), None,
        ),
        "package-table.zip": ("one bit between the files of the package", bytes(table), None),
        "voucher-page.pdf": ("one bit in the printed page", bytes(page), None),
        "bundle-elsewhere.json": (
            "the same bundle under the trust file of another chain", canonical(bundle),
            scratch / "other-chain-trust.json",
        ),
        "bundle-stranger.json": (
            "the same bundle under the trust file of another issuer", canonical(bundle),
            scratch / "other-issuer-trust.json",
        ),
    }  # fmt: skip
