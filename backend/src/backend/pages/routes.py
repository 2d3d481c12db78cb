"""The pages, put together."""

from fastapi import APIRouter

from backend.pages import heats_now, history, one_heat
from backend.pages.rendering import error_page

__all__ = ["error_page", "router"]

router = APIRouter()
for part in (heats_now, one_heat, history):
    router.include_router(part.router)
