"""An app that serves the page without an API, so the page runs its embedded model."""

from importlib.metadata import version

from fastapi import FastAPI

from .page import Page, PageFiles
from .problems import add_problem_handlers
from .security import Gate
from .settings import ServeSettings


def create_page_app(settings: ServeSettings, page: Page) -> FastAPI:
    """Create an app that serves the page under the companion's rules: known hosts, the token, security headers."""
    app = FastAPI(
        title="Patchlight page",
        version=version("patchlight"),
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        redirect_slashes=False,
    )
    add_problem_handlers(app)
    app.add_middleware(Gate, settings=settings, policy=page.policy)
    app.mount("/", PageFiles(page))
    return app
