"""The pages, put together."""

from fastapi import APIRouter

from backend.access.gate import needs
from backend.access.rules import READ
from backend.pages import administration, heats_now, history, login, model_page, one_heat
from backend.pages.rendering import error_page

__all__ = ["error_page", "router"]

router = APIRouter()
for part in (heats_now, one_heat, history, administration, model_page):
    router.include_router(part.router, dependencies=[needs(READ)])
for router_of_login in (login.router, login.private):
    router.include_router(router_of_login)
