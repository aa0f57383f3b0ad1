//! FastAPI's validation for native handlers.
//!
//! A request that deserializes is never looked at twice. One that does not is checked against the type's JSON Schema by
//! Pydantic's lax rules: what Pydantic would convert (`"7"` to 7) is converted and tried again, and what it would refuse
//! becomes the items of a 422, in its order and words.

mod container;
mod definitions;
pub(crate) mod json;
mod leaf;
mod number;
pub(crate) mod scalar;
pub(crate) mod schema;
mod union;

pub(crate) use definitions::{Definitions, Schemas};
pub(crate) use json::{JsonError, Value};
pub(crate) use schema::{check, is_constrained};

/// One entry of `detail` in a 422.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Item {
    pub(crate) kind: &'static str,
    pub(crate) loc: Vec<Step>,
    pub(crate) msg: String,
    pub(crate) input: Value,
    pub(crate) ctx: Option<Value>,
}

/// A step of the way to the value that is wrong.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Step {
    Name(String),
    Index(usize),
}

impl From<&str> for Step {
    fn from(name: &str) -> Self {
        Step::Name(name.to_owned())
    }
}

impl Item {
    pub(crate) fn new(kind: &'static str, loc: &[Step], msg: impl Into<String>, input: &Value) -> Item {
        Item { kind, loc: loc.to_vec(), msg: msg.into(), input: input.clone(), ctx: None }
    }

    pub(crate) fn with_ctx(mut self, name: &str, value: Value) -> Item {
        match &mut self.ctx {
            Some(Value::Object(fields)) => fields.push((name.to_owned(), value)),
            _ => self.ctx = Some(Value::Object(vec![(name.to_owned(), value)])),
        }
        self
    }

    pub(crate) fn missing(loc: &[Step], input: &Value) -> Item {
        Item::new("missing", loc, "Field required", input)
    }

    /// What only the type itself knows to be wrong: Pydantic's form of a `ValueError`.
    pub(crate) fn refused(loc: &[Step], reason: &str, input: &Value) -> Item {
        Item::new("value_error", loc, format!("Value error, {reason}"), input)
            .with_ctx("error", Value::Object(vec![]))
    }

    fn to_value(&self) -> Value {
        let loc = self.loc.iter().map(|step| match step {
            Step::Name(name) => Value::Str(name.clone()),
            Step::Index(index) => Value::Int(index.to_string()),
        });
        let mut fields = vec![
            ("type".to_owned(), Value::Str(self.kind.to_owned())),
            ("loc".to_owned(), Value::Array(loc.collect())),
            ("msg".to_owned(), Value::Str(self.msg.clone())),
            ("input".to_owned(), self.input.clone()),
        ];
        if let Some(ctx) = &self.ctx {
            fields.push(("ctx".to_owned(), ctx.clone()));
        }
        Value::Object(fields)
    }
}

/// The body of a 422.
pub(crate) fn detail(items: &[Item]) -> String {
    let detail = Value::Array(items.iter().map(Item::to_value).collect());
    Value::Object(vec![("detail".to_owned(), detail)]).to_string()
}
