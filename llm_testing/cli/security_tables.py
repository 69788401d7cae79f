"""Who may do what in which place, and how much of it at once, as the parts of SECURITY.md that are generated."""

from llm_testing.service.budgets import ABOUT, BUDGETS, LOGINS_A_MINUTE, Budget, Kind, Share
from llm_testing.service.places import Place
from llm_testing.service.roles import ACTIONS, RIGHTS, Role


def security_tables() -> dict[str, str]:
    """The Markdown tables by the names of their markers."""
    return {"rights": rights_table(RIGHTS, ACTIONS), "budgets": budget_table(BUDGETS, ABOUT)}


def budget_table(budgets: dict[Role, Budget], about: dict[Kind, str]) -> str:
    """A Markdown table of what each role may have at once, of all its clients together and of one of them."""
    roles = [role for role in sorted(budgets, reverse=True) if budgets[role].body_bytes]
    head = ["at once", *(role.name.lower() for role in roles)]
    shares = [[words, *(_share(budgets[role].shares.get(kind)) for role in roles)] for kind, words in about.items()]
    bodies = ["bytes of a request's body that is no file", *(f"{budgets[role].body_bytes:,}" for role in roles)]
    logins = ["wrong links in a minute, of one place", *(str(LOGINS_A_MINUTE) for _ in roles)]
    rows = [head, ["---"] * len(head), *shares, bodies, logins]
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


def _share(share: Share | None) -> str:
    if share is None:
        return "none"
    return (
        f"{share.together}" if share.a_client == share.together else f"{share.together}, of one place {share.a_client}"
    )


def rights_table(rights: dict[Place, dict[Role, frozenset[str]]], actions: dict[str, str]) -> str:
    """A Markdown table of who may do what in which place."""
    places = [place for place, roles in rights.items() if roles]
    rows = [["who may", *places], ["---"] * (1 + len(places))]
    for action, words in actions.items():
        rows.append([words, *(_those_who_may(rights[place], action) for place in places)])
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


def _those_who_may(roles: dict[Role, frozenset[str]], action: str) -> str:
    return ", ".join(role.name.lower() for role, may in roles.items() if action in may) or "-"
