//! What a crate of handlers needs: `use bimetal::prelude::*;`.

pub use bytes::Bytes;
pub use schemars::JsonSchema;
pub use serde::{Deserialize, Serialize};

pub use crate::{
    native_handler, Body, Constant, Cookie, Deadline, Form, FromRequest, Header, HttpError, IntoResponse,
    Json, Path, Query, Redirect, RequestParts, Response, RouteResponse, ServerState, State,
};
