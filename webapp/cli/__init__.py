"""The command line: `shuzheng VERB …`; each group of verbs has its file, loaded when it is asked for.

Every command takes `--home`, and with `--json` prints one JSON document on stdout; progress and logs
go to stderr. A refusal is one sentence on stderr and exit code 1; nothing was changed then.
"""

import importlib
import sys
from typing import Any

import click
import structlog

# Where each command stands. Loading only what is asked for keeps `verify` quick and light.
PLACES = {
    **dict.fromkeys(
        ("init", "node", "worker", "seal", "anchor", "audit", "setting", "ladder"),
        "webapp.cli.house",
    ),
    **dict.fromkeys(("party", "member", "key", "steward"), "webapp.cli.people"),
    **dict.fromkeys(
        ("deposit", "application", "appraisal"),
        "webapp.cli.field",
    ),
    **dict.fromkeys(("agreement", "evaluation"), "webapp.cli.agreements"),
    **dict.fromkeys(("import", "catalogue", "resource"), "webapp.cli.catalogue"),
    **dict.fromkeys(("licence", "payment"), "webapp.cli.money"),
    **dict.fromkeys(("scheme", "statement", "sign", "inquiry"), "webapp.cli.distribution"),
    "finance": "webapp.cli.finance",
    **dict.fromkeys(("books", "journal", "limit", "period"), "webapp.cli.books"),
    "price": "webapp.cli.prices",
    **dict.fromkeys(("account", "payout", "reconcile", "difference"), "webapp.cli.payments"),
    **dict.fromkeys(("order", "refund", "remittance", "trade"), "webapp.cli.trade"),
    **dict.fromkeys(("value", "share", "contribution"), "webapp.cli.figures"),
    "accounts": "webapp.cli.accounts",
    "profile": "webapp.cli.quality",
    **dict.fromkeys(("trust", "status", "history", "package", "witness"), "webapp.cli.proofs"),
    **dict.fromkeys(("voucher", "motion", "authorisation", "use"), "webapp.cli.vouchers"),
    **dict.fromkeys(("demand", "exclusion", "feedback", "responsibilities"), "webapp.cli.lists"),
    **dict.fromkeys(("peer", "recognise", "recognition"), "webapp.cli.recognition"),
    "duty": "webapp.cli.duties",
    **dict.fromkeys(("registration", "objection"), "webapp.cli.register"),
    "rules": "webapp.cli.rules",
    **dict.fromkeys(("alarm", "alarms"), "webapp.cli.alarms"),
    **dict.fromkeys(("deadlines", "messages"), "webapp.cli.messages"),
    **dict.fromkeys(("statistics", "national"), "webapp.cli.statistics"),
    "usage": "webapp.cli.usage",
    "verify": "webapp.cli.verify",
    "verifier": "webapp.cli.verifier",
    "template": "webapp.cli.import_templates",
    "serve": "webapp.serve",
    "site": "webapp.serve",
    "demo": "webapp.demo",
}


class Commands(click.Group):
    """A group that imports a command's file when the command is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted(PLACES)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in PLACES:
            return None
        module: Any = importlib.import_module(PLACES[cmd_name])
        return super().get_command(ctx, cmd_name) or getattr(module, cmd_name, None)


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
def main() -> None:
    """数证 Shuzheng: public data assets registered, valued, vouched for, traded and shared out."""
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    processors = structlog.get_config()["processors"]
    if isinstance(processors[-1], structlog.dev.ConsoleRenderer):
        # As it comes it shows the values of variables too: passwords, keys, account numbers.
        processors[-1] = structlog.dev.ConsoleRenderer(
            colors=sys.stderr.isatty(), exception_formatter=structlog.dev.plain_traceback
        )
