"""Who may do what. Pure: roles of people and scopes of machines, as sets of permissions."""

from collections.abc import Mapping
from typing import Literal, get_args

Permission = Literal["read", "decide", "tell", "keep", "administer"]
Role = Literal["viewer", "steelmaker", "technologist", "admin"]
Scope = Literal["read", "decide", "tell", "keep"]

READ: Permission = "read"  # heats, recommendations, master data
DECIDE: Permission = "decide"  # see a recommendation, ask for another, decide
TELL: Permission = "tell"  # what a plant tells: heats, weighed additions, samples
KEEP: Permission = "keep"  # master data
ADMINISTER: Permission = "administer"  # users, tokens, the audit log

ROLES: Mapping[Role, frozenset[Permission]] = {
    "viewer": frozenset({READ}),
    "steelmaker": frozenset({READ, DECIDE}),
    "technologist": frozenset({READ, DECIDE, KEEP}),
    # Who gives access away does not decide over heats with it.
    "admin": frozenset({READ, ADMINISTER}),
}
SCOPES: tuple[Scope, ...] = get_args(Scope)

SHORTEST_PASSWORD = 12
SHORTEST_TOKEN = 32
