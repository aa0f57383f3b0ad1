"""Security schemes as dependencies, with and without scopes."""

from typing import Annotated, Any

from fastapi import Depends, FastAPI, HTTPException, Security
from fastapi.security import (
    APIKeyCookie,
    APIKeyHeader,
    APIKeyQuery,
    HTTPAuthorizationCredentials,
    HTTPBasic,
    HTTPBasicCredentials,
    HTTPBearer,
    HTTPDigest,
    OAuth2PasswordBearer,
    OAuth2PasswordRequestForm,
    OpenIdConnect,
    SecurityScopes,
)

from differential.apps.twins import seen, twins

app = FastAPI()
both = twins(app)

basic = HTTPBasic(realm="simple")
basic_optional = HTTPBasic(auto_error=False)
bearer = HTTPBearer()
bearer_optional = HTTPBearer(auto_error=False)
digest = HTTPDigest()
key_header = APIKeyHeader(name="X-Key")
key_query = APIKeyQuery(name="api_key")
key_cookie = APIKeyCookie(name="session", auto_error=False)
oauth2 = OAuth2PasswordBearer(tokenUrl="token", scopes={"me": "Read me.", "items": "Read items."})
oidc = OpenIdConnect(openIdConnectUrl="/openid")


def user(scopes: SecurityScopes, token: Annotated[str, Depends(oauth2)]) -> dict[str, Any]:
    missing = [scope for scope in scopes.scopes if scope not in token]
    if missing:
        challenge = f'Bearer scope="{scopes.scope_str}"' if scopes.scopes else "Bearer"
        raise HTTPException(401, f"without {missing}", headers={"WWW-Authenticate": challenge})
    return {"token": token, "scopes": scopes.scopes}


def active(current: Annotated[dict[str, Any], Security(user, scopes=["me"])]) -> dict[str, Any]:
    return current


@both("GET", "/basic")
def with_basic(credentials: Annotated[HTTPBasicCredentials, Depends(basic)]):
    return seen(username=credentials.username, password=credentials.password)


@both("GET", "/basic/optional")
def with_optional_basic(credentials: Annotated[HTTPBasicCredentials | None, Security(basic_optional)]):
    return {"credentials": credentials}


@both("GET", "/bearer")
def with_bearer(credentials: Annotated[HTTPAuthorizationCredentials, Security(bearer)]):
    return seen(scheme=credentials.scheme, credentials=credentials.credentials)


@both("GET", "/bearer/optional")
def with_optional_bearer(credentials: Annotated[HTTPAuthorizationCredentials | None, Security(bearer_optional)]):
    return {"credentials": credentials}


@both("GET", "/digest")
def with_digest(credentials: Annotated[HTTPAuthorizationCredentials, Security(digest)]):
    return seen(credentials)


@both("GET", "/key/header")
def with_header_key(key: Annotated[str, Security(key_header)]):
    return seen(key)


@both("GET", "/key/query")
def with_query_key(key: Annotated[str, Security(key_query)]):
    return seen(key)


@both("GET", "/key/cookie")
def with_cookie_key(key: Annotated[str | None, Security(key_cookie)]):
    return seen(key)


@both("GET", "/oauth2")
def with_oauth2(current: Annotated[dict[str, Any], Depends(active)]):
    return current


@both("GET", "/oauth2/items")
def with_scopes(current: Annotated[dict[str, Any], Security(active, scopes=["items"])]):
    return current


@both("GET", "/oidc")
def with_oidc(token: Annotated[str, Security(oidc)]):
    return seen(token)


@both("POST", "/token")
def token(form: Annotated[OAuth2PasswordRequestForm, Depends()]):
    return seen(
        grant_type=form.grant_type,
        username=form.username,
        password=form.password,
        scopes=form.scopes,
        client_id=form.client_id,
        client_secret=form.client_secret,
    )
