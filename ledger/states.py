"""The legal moves of every state machine, in one table; tests are generated from it (state × verb).

    MOVES[machine][verb] = {state before: state after}

A verb that makes its subject has the state before None. Sources: 发改数据规〔2025〕26号 art. 8-15, 20 for
applications and registrations; design §4-§5 for vouchers; the rest is our own design.
"""

from ledger.errors import Conflict

MOVES: dict[str, dict[str, dict[str | None, str]]] = {
    "catalogue": {  # a change set of the catalogue
        "propose": {None: "proposed"},
        "import": {None: "applied"},
        "approve": {"proposed": "applied"},
        "reject": {"proposed": "rejected"},
        "undo": {"applied": "undone"},
    },
    "resource": {
        "list": {None: "listed", "withdrawn": "listed"},
        "change": {"listed": "listed"},
        "withdraw": {"listed": "withdrawn"},
    },
    "duty": {  # to bring the catalogue up to date within ten working days of a cause
        "report": {None: "open"},
        "settle": {"open": "settled"},
        "confirm": {"settled": "confirmed"},
        "reopen": {"settled": "open"},
    },
    "demand": {
        "submit": {None: "submitted"},
        "assign": {"submitted": "assigned", "assigned": "assigned"},
        "accept": {"assigned": "accepted"},
        "refuse": {
            "assigned": "refused",
            "accepted": "refused",  # what was promised may become impossible
        },
        "fulfil": {"accepted": "fulfilled"},
        "close": {"fulfilled": "closed", "refused": "closed"},
        "appeal": {"refused": "appealed", "fulfilled": "appealed"},
        "uphold": {"appealed": "assigned"},
        "dismiss": {"appealed": "closed"},
        "withdraw": {
            "submitted": "withdrawn",
            "assigned": "withdrawn",
            "accepted": "withdrawn",
        },
    },
    "exclusion": {
        "propose": {None: "proposed"},
        "approve": {"proposed": "in_force"},
        "reject": {"proposed": "rejected"},
        "end": {"in_force": "ended"},
    },
    "feedback": {
        "raise": {None: "raised"},
        "answer": {"raised": "answered"},
        "close": {"answered": "closed"},
        "appeal": {"answered": "appealed"},
        "uphold": {"appealed": "raised"},
        "dismiss": {"appealed": "closed"},
        "withdraw": {"raised": "withdrawn"},
    },
    "party": {
        "add": {None: "active"},
        "rename": {"active": "active"},
        "merge": {"active": "merged"},
        "split": {"active": "split"},
    },
    "steward": {
        "name": {None: "named"},
        "relieve": {"named": "relieved"},
    },
    "application": {
        "submit": {None: "submitted", "returned": "submitted"},
        "apply": {None: "submitted"},  # about what is registered: change, renewal, transfer …
        "consent": {"submitted": "submitted", "in_review": "in_review", "reviewed": "reviewed"},
        "return": {"submitted": "returned"},  # 一次性告知: all that is missing, once
        "amend": {"returned": "submitted"},
        "refuse": {"submitted": "not_accepted"},
        "accept": {"submitted": "in_review"},
        "reject": {
            "in_review": "not_accepted",
            "reviewed": "not_accepted",  # what bars it may come to light, or come about, later
            "on_notice": "not_accepted",
        },
        "pass": {"in_review": "reviewed"},
        "second": {"reviewed": "reviewed"},  # 复核: a second pair of eyes above a grade
        "doubt": {"reviewed": "in_review"},
        "notice": {"reviewed": "on_notice"},
        "object": {"on_notice": "objection_review", "objection_review": "objection_review"},
        "dismiss": {"objection_review": "on_notice"},
        "uphold": {"objection_review": "terminated"},
        "code": {"on_notice": "registered"},
        "conclude": {"reviewed": "concluded", "on_notice": "concluded"},
        "withdraw": {
            "submitted": "withdrawn",
            "returned": "withdrawn",
            "in_review": "withdrawn",
            "reviewed": "withdrawn",
            "on_notice": "withdrawn",
        },
    },
    "objection": {  # to an application on notice
        "raise": {None: "raised"},
        "withdraw": {"raised": "withdrawn"},
        "uphold": {"raised": "upheld"},
        "dismiss": {"raised": "dismissed"},
    },
    "registration": {
        "code": {None: "registered"},
        "change": {"registered": "registered"},  # what a concluded application asked for
        "lift": {"registered": "registered", "under_inquiry": "under_inquiry"},
        "inquire": {"registered": "under_inquiry"},  # 核实, before anything is taken away (art. 20)
        "clear": {"under_inquiry": "registered"},
        "revoke": {"under_inquiry": "revoked"},  # 撤销
        "cancel": {"registered": "cancelled", "under_inquiry": "cancelled"},  # 注销
        "lapse": {"registered": "cancelled"},  # not renewed in time (art. 15)
    },
    "voucher": {
        "issue": {None: "valid"},
        "suspend": {"valid": "suspended"},
        "resume": {"suspended": "valid"},
        "revoke": {"valid": "revoked", "suspended": "revoked"},
        "cancel": {"valid": "cancelled", "suspended": "cancelled"},
        "renew": {"valid": "valid"},
        "transfer": {"valid": "valid"},
        "supersede": {"valid": "superseded"},
        "split": {"valid": "superseded"},  # superseded by one voucher for each right
        "pledge": {"valid": "valid"},
        "release": {"valid": "valid", "suspended": "suspended"},
        "replace_key": {"valid": "valid", "suspended": "suspended"},
        "freeze": {"valid": "valid", "suspended": "suspended"},
        # what was revoked while frozen keeps its registration barred until it is unfrozen
        "unfreeze": {"valid": "valid", "suspended": "suspended", "revoked": "revoked"},
    },
    "alarm": {
        "raise": {None: "raised"},
        "explain": {"raised": "explained"},
        "close": {"explained": "closed"},
        "reopen": {"explained": "raised"},
        "resolve": {  # its cause is gone
            "raised": "resolved",
            "explained": "resolved",
            "closed": "closed",
        },
    },
    "motion": {  # what is weighty on a voucher, until a second registrar has decided
        "propose": {None: "proposed"},
        "confirm": {"proposed": "confirmed"},
        "reject": {"proposed": "rejected"},
    },
    "authorisation": {  # 授权使用: what a data subject consents to
        "request": {None: "requested"},
        "consent": {"requested": "consented"},
        "refuse": {"requested": "refused"},
        "issue": {"consented": "in_force"},
        "withdraw": {"consented": "withdrawn", "in_force": "withdrawn"},
        "end": {"requested": "ended", "consented": "ended", "in_force": "ended"},
    },
    "peer": {  # another registry, by one of its trust files
        "propose": {None: "proposed"},
        "admit": {"proposed": "admitted"},
        "reject": {"proposed": "rejected"},
        "reach": {"proposed": "proposed", "admitted": "admitted", "suspended": "suspended"},
        "suspend": {"admitted": "suspended"},
        "resume": {"suspended": "admitted"},
        "supersede": {"admitted": "superseded", "suspended": "superseded"},  # by a newer trust file
        "end": {"admitted": "ended", "suspended": "ended"},
    },
    "recognition": {  # a voucher of another registry
        "import": {None: "recognised"},
        "update": {"recognised": "recognised"},  # its issuer renewed or transferred it
        "follow": {"recognised": "recognised"},  # its issuer's word for it changed
        "end": {"recognised": "ended"},  # its issuer's last word
    },
    "agreement": {
        "propose": {None: "proposed"},
        "consent": {"proposed": "proposed"},  # of another body whose data it names, 27号 art. 5
        "sign": {"proposed": "in_force"},
        "withdraw": {"proposed": "withdrawn"},
        "decline": {"proposed": "declined"},
        "propose_end": {"in_force": "ending"},
        "keep": {"ending": "in_force"},
        "end": {"ending": "ended"},
        "expire": {"in_force": "expired", "ending": "expired"},  # by the day, nobody's deed
        "hand_back": {
            "ended": "handing_back",
            "expired": "handing_back",
            "hand_back_open": "handing_back",
        },
        "confirm_hand_back": {"handing_back": "handed_back"},
        "reopen_hand_back": {"handing_back": "hand_back_open"},
    },
    "evaluation": {
        "make": {None: "made"},
        "comment": {"made": "commented"},
    },
    "appraisal": {
        "draft": {None: "drafted"},
        "approve": {"drafted": "approved"},
        "reject": {"drafted": "rejected"},
        "withdraw": {"drafted": "withdrawn"},  # by its maker
        "supersede": {"approved": "superseded"},  # by the next edition for the same purpose
    },
    "price": {  # an edition of an agreement's price setting
        "propose": {None: "proposed"},
        "confirm": {"proposed": "confirmed"},
        "reject": {"proposed": "rejected"},
        "withdraw": {"proposed": "withdrawn"},
        "supersede": {"confirmed": "superseded"},  # by the confirmation of the next edition
    },
    "order": {
        "place": {None: "placed"},
        "fulfil": {"placed": "fulfilled"},
        "cancel": {"placed": "cancelled"},
        "expire": {"placed": "expired"},  # by the last day of the offer, nobody's deed
    },
    "refund": {
        "propose": {None: "proposed"},
        "approve": {"proposed": "approved"},
        "reject": {"proposed": "rejected"},
    },
    "licence": {
        "grant": {None: "granted"},
        "revoke": {"granted": "revoked"},
    },
    "scheme": {
        "propose": {None: "proposed"},
        "agree": {"proposed": "agreed"},
    },
    "period": {
        "close": {None: "closed"},
        "reopen": {"closed": "reopened"},
    },
    "journal": {
        "propose": {None: "proposed"},
        "approve": {"proposed": "approved"},
        "reject": {"proposed": "rejected"},
        "withdraw": {"proposed": "withdrawn"},
    },
    "limit": {  # of an account of the books: how much must stay
        "propose": {None: "proposed"},
        "approve": {"proposed": "approved"},
        "reject": {"proposed": "rejected"},
        "withdraw": {"proposed": "withdrawn"},
        "supersede": {"approved": "superseded"},  # by the next one of the same account
    },
    "hold": {  # of the books: the first of two phases
        "hold": {None: "pending"},
        "keep": {"pending": "pending"},  # it runs out no more
        "post": {"pending": "posted"},
        "void": {"pending": "voided"},
        "expire": {"pending": "expired"},  # by the clock
    },
    "statement": {
        "draft": {None: "drafted"},
        "propose": {"drafted": "proposed"},
        "approve": {"proposed": "approved"},
        "correct": {"drafted": "drafted", "rejected": "drafted"},
        "sign": {"proposed": "proposed"},  # where two must sign, the first
        "reject": {"proposed": "rejected"},
        "reopen": {"approved": "proposed", "proposed": "proposed"},  # the chain refused a signature
        "post": {"approved": "posted"},
        "reverse": {"posted": "reversed"},  # by a statement that takes it back
    },
    "inquiry": {  # a question on a line of a statement
        "raise": {None: "raised"},
        "answer": {"raised": "answered"},
        "insist": {"answered": "raised"},
        "close": {"answered": "closed"},
        "withdraw": {"raised": "withdrawn", "answered": "withdrawn"},
    },
    "bank_account": {
        "enter": {None: "entered"},
        "confirm": {"entered": "confirmed"},
        "reject": {"entered": "rejected"},
        "withdraw": {"entered": "withdrawn"},
        "supersede": {"confirmed": "superseded"},  # by the confirmation of the next one
    },
    "payout": {  # a batch of payments to the bank
        "prepare": {None: "prepared"},
        "approve": {"prepared": "approved"},  # by the last of those who have to
        "cancel": {"prepared": "cancelled"},
        "confirm": {  # by the bank's result
            "approved": "partly_paid",
            "partly_paid": "partly_paid",
        },
        "pay": {  # by the result of its last line
            "approved": "paid",
            "partly_paid": "paid",
            "closed": "paid",
        },
        "close": {"approved": "closed", "partly_paid": "closed"},  # not all of it was paid
        "amend": {"paid": "closed", "closed": "closed"},  # the bank returned or paid some after all
    },
    "payout_line": {
        "prepare": {None: "held"},
        "pay": {"held": "paid", "failed": "paid", "cancelled": "paid"},  # also after all
        "fail": {"held": "failed"},  # due again
        "return": {"paid": "came_back"},  # 退汇: due again
        "cancel": {"held": "cancelled"},
    },
    "difference": {  # what a reconciliation found
        "find": {None: "open"},
        "answer": {"open": "answered"},
        "reopen": {"answered": "open"},
        "settle": {"answered": "settled"},
    },
}


def move(machine: str, verb: str, state: str | None) -> str:
    """The state after `verb`; a verb that is not legal in `state` is a Conflict naming both."""
    moves = MOVES[machine][verb]
    if state not in moves:
        raise Conflict(
            "A {machine} that is {state} cannot be made to {verb}; that needs: {allowed}.",
            machine=machine,
            state=state or "new",
            verb=verb,
            allowed=", ".join(sorted(s or "new" for s in moves)),
        )
    return moves[state]
