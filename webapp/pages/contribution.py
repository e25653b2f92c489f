"""Who contributed how much, computed from a game that is typed in; nothing of it is kept.

GET  /contribution?game=uses        the form with an example of that game
POST /contribution  do=compute      the values and shares; do=xlsx, do=json hand them out as a file
"""

from fractions import Fraction
from io import BytesIO
from typing import Any

from flask import Flask, render_template, request, send_file
from flask_limiter import Limiter
from markupsafe import Markup

from ledger import contribution_sheet
from ledger.errors import Invalid, LedgerError
from ledger.proof.encoding import canonical
from ledger.reports import decimal
from valuation import InputError, ValuationError
from valuation.contribution import WHY_THEY_DIFFER, Contribution, run
from valuation.money import round_half_up
from webapp import door
from webapp.documents import Unreadable, line_of, read_text
from webapp.language import language, retell, tr, translate
from webapp.pages import charts
from webapp.pages.statements import percent
from webapp.pages.value import sheet
from webapp.refusals import SENTENCES
from webapp.wording import spoken

DRAWN_MOST = 30  # players whose bars are drawn; the table has all
EXAMPLES = {
    "uses": """\
v: 1
game: uses
players:
  - {id: 气象局, cost_yuan: "2000.00", quality: 0.95}
  - {id: 交通局, cost_yuan: "1500.00", quality: 0.9}
  - {id: 数据公司, cost_yuan: "800.00"}
uses:
  - {name: 出行预警, value_yuan: "12000.00", needs: [气象局, 交通局]}
  - {name: 气象简报, value_yuan: "3000.00", needs: [气象局]}
  - {name: 物流调度, value_yuan: "9000.00", needs: [气象局, 交通局, 数据公司]}
""",
    "formula": """\
v: 1
game: formula
formula: round_half_up(min(sum_usage, 60) * 25000 * sum_usage_quality / sum_usage) - sum_cost
players:
  - {id: 气象局, usage: 40, cost_yuan: "2000.00", quality: 0.95}
  - {id: 交通局, usage: 30, cost_yuan: "1500.00", quality: 0.9}
  - {id: 数据公司, usage: 12, cost_yuan: "800.00", quality: 0.6}
""",
    "table": """\
v: 1
game: table
players: [{id: 气象局}, {id: 交通局}]
coalitions:
  - {of: [气象局], value_yuan: "3000.00"}
  - {of: [交通局], value_yuan: "0.00"}
  - {of: [气象局, 交通局], value_yuan: "15000.00"}
""",
}


def enter(app: Flask, _limiter: Limiter) -> None:
    """Enter the route."""
    app.add_url_rule("/contribution", "contribution", contribute, methods=["GET", "POST"])


@door.guard("figure.compute")
def contribute() -> Any:
    """The form, and what follows from what was typed into it."""
    game = request.args.get("game", "")
    typed = request.form.get("document", EXAMPLES.get(game, EXAMPLES["uses"]))
    made, faults = None, list[dict[str, str]]()
    if request.method == "POST":
        try:
            made, faults = _computed(typed)
        except LedgerError as error:
            faults = [{"place": "", "line": "", "what": error.localized(translate)}]
        do = request.form.get("do", "compute")
        if made is not None and do == "xlsx":
            return sheet(BytesIO(contribution_sheet.to_bytes(made)), "contribution.xlsx")
        if made is not None and do == "json":
            return send_file(BytesIO(canonical(made.to_dict())), "application/json",
                             as_attachment=True, download_name="contribution.json")  # fmt: skip
    page = render_template(
        "contribution.html", typed=typed, faults=faults, made=made and _shown(made)
    )
    return page, 400 if faults else 200


def _computed(typed: str) -> tuple[Contribution | None, list[dict[str, str]]]:
    """The contribution of a text, or every fault of it with the line where it stands."""
    try:
        document = read_text(typed)
    except Unreadable as error:
        raise Invalid("What was pasted cannot be read at line {line}: {why}.", line=error.line,
                      why=error.why) from None  # fmt: skip
    try:
        return run(document), []
    except InputError as error:
        faults = []
        for path, what in error.problems:
            line = line_of(typed, path)
            place = tr("line {n}", n=line) if line else ""
            faults.append({"place": path, "line": place, "what": retell(what, SENTENCES)})
        return None, faults
    except ValuationError as error:
        return None, [{"place": "", "line": "", "what": retell(str(error), SENTENCES)}]


def _shown(made: Contribution) -> dict[str, Any]:
    """A contribution for the eye; amounts in yuan."""
    lost = made.lost_shares
    rows = [
        {
            "name": name, "value": decimal(value / 100, 2), "share": _percent(made.shares[name]),
            "lost": decimal(made.lost[name] / 100, 2), "exact": str(value),
            "lost_share": _percent(lost[name]) if lost else "–",
            "error": None if made.bound_fen is None else decimal(Fraction(made.errors_fen[name], 100), 2),
        }
        for name, value in made.values.items()
    ]  # fmt: skip
    return {
        "bound": None if made.bound_fen is None else decimal(Fraction(made.bound_fen, 100), 2),
        "derivation": made.derivation and made.derivation.to_dict(),
        "how": made.how,
        "lost": decimal(sum(made.lost.values(), Fraction(0)) / 100, 2),
        "picture": _picture(made),
        "rows": rows,
        "total": decimal(made.total / 100, 2),
        "valued": f"{made.valued:,}",
        "why": spoken(WHY_THEY_DIFFER.zh, WHY_THEY_DIFFER.en),
    }


def _picture(made: Contribution) -> Markup:
    ranked = sorted(made.values.items(), key=lambda one: -one[1])
    best = ranked[0][0]
    bars = [
        (name, round_half_up(value), _percent(made.shares[name]))
        for name, value in ranked[:DRAWN_MOST]
    ]
    tells = tr(
        "{count} players; most, {share}, falls to {player}.", count=len(ranked),
        share=_percent(made.shares[best]), player=best,
    )  # fmt: skip
    return charts.amounts(
        tr("Shares by contribution"), tells, bars, lambda fen: charts.short_amount(fen, language())
    )


def _percent(share: Fraction) -> str:
    return percent(share.numerator, share.denominator)
