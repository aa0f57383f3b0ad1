//! What a handler says about itself, once, when the plugin is loaded: the parameters and the body it reads, the responses
//! it gives, and the metadata made of that.

use std::any::TypeId;
use std::sync::Arc;

use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, SchemaGenerator};
use serde_json::{json, Map, Value};

use crate::extract::{header_name, is_list, Source};
use crate::validate::{self, is_constrained, schema::REF_PREFIX, Definitions, Item, Schemas, Step};

/// The argument an extractor stands for, as the handler's signature shows it.
#[derive(Clone, Copy, Debug)]
pub struct Argument {
    /// The identifiers in its pattern: `user_id` for `Path(user_id)`, `a` and `b` for `Path((a, b))`.
    pub names: &'static [&'static str],
}

/// A handler being described: each extractor and the response type add their part.
pub struct Operation {
    /// Path parameters in the order in which the host will pass them.
    params: Vec<String>,
    parameters: Vec<Value>,
    request_body: Option<Value>,
    /// Schemas of a form's fields, where each is an argument of its own.
    form_fields: Option<Map<String, Value>>,
    required_form_fields: Vec<String>,
    response: Option<Value>,
    /// The status code that the attribute names.
    status: Option<u16>,
    reads_body: bool,
    streams: bool,
    pub(crate) state: Option<StateType>,
    input: SchemaGenerator,
    output: SchemaGenerator,
    problem: Option<String>,
}

/// The type of a plugin's state.
#[derive(Clone, Copy, Debug)]
pub struct StateType {
    pub(crate) id: TypeId,
    pub(crate) name: &'static str,
}

impl StateType {
    /// The type `T`.
    pub fn of<T: 'static>() -> StateType {
        StateType { id: TypeId::of::<T>(), name: std::any::type_name::<T>() }
    }
}

/// What an extractor found out about itself, for use on every request.
#[derive(Debug, Default)]
pub struct Slot {
    /// Index of its first path parameter.
    pub(crate) first: usize,
    /// The names it reads, in order.
    pub(crate) names: Vec<String>,
    pub(crate) shape: Shape,
    pub(crate) schema: Value,
    pub(crate) definitions: Arc<Definitions>,
    /// Whether a value that deserializes may still break the schema.
    pub(crate) constrained: bool,
    /// Whether FastAPI would validate its fields together, as a Pydantic model.
    pub(crate) is_model: bool,
    /// Whether it refuses fields it does not know.
    pub(crate) closed: bool,
    /// Those of the names that take several values.
    pub(crate) lists: Vec<String>,
}

/// How an extractor's type takes its values.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Shape {
    /// One value.
    #[default]
    Scalar,
    /// Several by position.
    Tuple,
    /// Several by name.
    Fields,
}

impl Slot {
    /// Knows the named schemas from now on.
    pub(crate) fn complete(&mut self, definitions: &Arc<Definitions>) {
        self.definitions = Arc::clone(definitions);
        self.constrained = self.closed || is_constrained(&self.schema, &definitions.schemas);
    }

    /// Holds a value against a schema that is this slot's or a part of it.
    pub(crate) fn check(
        &self,
        value: &validate::Value,
        schema: &Value,
        loc: Vec<Step>,
        items: &mut Vec<Item>,
    ) -> validate::Value {
        validate::check(value, schema, &self.definitions, loc, items)
    }
}

/// A handler's description, done.
pub(crate) struct Description {
    pub(crate) params: Vec<String>,
    pub(crate) reads_body: bool,
    /// Whether it answers with a stream.
    pub(crate) streams: bool,
    pub(crate) definitions: Arc<Definitions>,
    pub(crate) meta_json: String,
}

impl Operation {
    pub(crate) fn new() -> Operation {
        let settings = SchemaSettings::draft2020_12().with(|settings| {
            settings.meta_schema = None;
            settings.definitions_path = "/components/schemas".into();
        });
        Operation {
            params: Vec::new(),
            parameters: Vec::new(),
            request_body: None,
            form_fields: None,
            required_form_fields: Vec::new(),
            response: None,
            status: None,
            reads_body: false,
            streams: false,
            state: None,
            input: settings.clone().for_deserialize().into_generator(),
            output: settings.for_serialize().into_generator(),
            problem: None,
        }
    }

    /// Notes why the handler cannot be used. The first reason counts.
    pub(crate) fn refuse(&mut self, problem: impl Into<String>) {
        self.problem.get_or_insert(problem.into());
    }

    /// A slot for `T`, with the names of its fields if it has some.
    fn slot<T: JsonSchema>(&mut self) -> Slot {
        let schema = self.input.subschema_for::<T>().to_value();
        let resolved = resolve(&schema, self.input.definitions());
        let properties = resolved.get("properties").and_then(Value::as_object);
        let positional = resolved.get("prefixItems").is_some();
        let (shape, names) = match properties {
            Some(properties) => (Shape::Fields, properties.keys().cloned().collect()),
            None if positional => (Shape::Tuple, Vec::new()),
            None => (Shape::Scalar, Vec::new()),
        };
        Slot { shape, names, schema, first: self.params.len(), ..Slot::default() }
    }

    pub(crate) fn path<T: JsonSchema>(&mut self, argument: &Argument) -> Slot {
        let mut slot = self.slot::<T>();
        if slot.shape != Shape::Fields {
            slot.names = argument.names.iter().map(|name| (*name).to_owned()).collect();
        }
        let schemas = self.field_schemas(&slot);
        if slot.names.is_empty() || schemas.len() != slot.names.len() {
            self.refuse(
                "a `Path` argument does not name its parameters; write `Path(name): Path<T>`, `Path((a, b)): Path<(A, B)>`, or \
                 give `Path<T>` a struct with a field for each",
            );
        }
        for (name, (schema, _)) in slot.names.iter().zip(schemas) {
            self.params.push(name.clone());
            self.parameters.push(json!({"name": name, "in": "path", "required": true, "schema": schema}));
        }
        slot
    }

    pub(crate) fn query<T: JsonSchema>(&mut self, argument: &Argument, optional: bool) -> Slot {
        self.parameter::<T>(argument, optional, Source::Query, "Query")
    }

    pub(crate) fn header<T: JsonSchema>(&mut self, argument: &Argument, optional: bool) -> Slot {
        self.parameter::<T>(argument, optional, Source::Header, "Header")
    }

    pub(crate) fn cookie<T: JsonSchema>(&mut self, argument: &Argument, optional: bool) -> Slot {
        let slot = self.parameter::<T>(argument, optional, Source::Cookie, "Cookie");
        if let Some(name) = slot.lists.first() {
            self.refuse(format!("a cookie has one value; `{name}` cannot be a list"));
        }
        slot
    }

    /// One parameter, or one for each field of a struct.
    fn parameter<T: JsonSchema>(
        &mut self,
        argument: &Argument,
        optional: bool,
        source: Source,
        extractor: &str,
    ) -> Slot {
        let mut slot = self.text_slot::<T>(argument, optional, extractor);
        slot.is_model = slot.shape == Shape::Fields && (slot.closed || optional);
        for (name, (schema, required)) in slot.names.iter().zip(self.field_schemas(&slot)) {
            let name = if source == Source::Header { header_name(name) } else { name.into() };
            let mut parameter = json!({
                "name": name, "in": source.place(), "required": required && !optional, "schema": schema,
            });
            if let Some(description) = parameter["schema"].get("description").cloned() {
                parameter["description"] = description;
            }
            self.parameters.push(parameter);
        }
        slot
    }

    /// A slot for values that are text and have names.
    fn text_slot<T: JsonSchema>(&mut self, argument: &Argument, optional: bool, extractor: &str) -> Slot {
        let mut slot = if optional { self.slot_of_option::<T>() } else { self.slot::<T>() };
        if slot.shape == Shape::Fields {
            let resolved = resolve(&slot.schema, self.input.definitions());
            slot.closed = resolved.get("additionalProperties") == Some(&Value::Bool(false));
        } else {
            slot.names = argument.names.iter().map(|name| (*name).to_owned()).collect();
            if slot.shape == Shape::Tuple || slot.names.len() != 1 {
                self.refuse(format!(
                    "a `{extractor}` argument does not name its parameter; write `{extractor}(name): {extractor}<T>`, or give \
                     `{extractor}<T>` a struct with a field for each",
                ));
            }
        }
        let schemas = self.field_schemas(&slot);
        let lists = slot.names.iter().zip(schemas).filter(|(_, (schema, _))| is_list(schema));
        slot.lists = lists.map(|(name, _)| name.clone()).collect();
        slot
    }

    /// A slot for an optional `T`: a struct is described as it is, one value as one that may be absent.
    fn slot_of_option<T: JsonSchema>(&mut self) -> Slot {
        let slot = self.slot::<T>();
        if slot.shape == Shape::Scalar {
            self.slot::<Option<T>>()
        } else {
            slot
        }
    }

    pub(crate) fn json_body<T: JsonSchema>(&mut self, required: bool) -> Slot {
        let slot = self.slot::<T>();
        self.body(json!({"required": required, "content_type": "application/json", "schema": slot.schema}));
        slot
    }

    /// A form: a struct is the whole of it, single fields add up.
    pub(crate) fn form_body<T: JsonSchema>(&mut self, argument: &Argument, optional: bool) -> Slot {
        const FORM: &str = "application/x-www-form-urlencoded";
        let mut slot = self.text_slot::<T>(argument, optional, "Form");
        if slot.shape == Shape::Fields {
            slot.is_model = true;
            self.body(json!({"required": !optional, "content_type": FORM, "schema": slot.schema}));
            return slot;
        }
        let form = self.form_fields.get_or_insert_with(Map::new);
        let is_first = form.is_empty();
        let required = !optional && !is_nullable(&slot.schema);
        form.extend(slot.names.first().map(|name| (name.clone(), slot.schema.clone())));
        if required {
            self.required_form_fields.extend(slot.names.first().cloned());
        }
        let body = json!({
            "required": !self.required_form_fields.is_empty(),
            "content_type": FORM,
            "schema": {
                "type": "object",
                "properties": self.form_fields,
                "required": self.required_form_fields,
            },
        });
        if is_first {
            self.body(body);
        } else {
            self.request_body = Some(body);
        }
        slot
    }

    pub(crate) fn raw_body(&mut self) -> Slot {
        let schema = json!({"type": "string", "format": "binary"});
        self.body(json!({"required": false, "content_type": "application/octet-stream", "schema": schema}));
        Slot::default()
    }

    fn body(&mut self, body: Value) {
        self.reads_body = true;
        if self.request_body.replace(body).is_some() {
            self.refuse("it reads the body twice; keep one of `Json`, `Form`, `Bytes` and `&[u8]`");
        }
    }

    pub(crate) fn state<T: 'static>(&mut self) -> Slot {
        let wanted = StateType::of::<T>();
        if let Some(other) = self.state.replace(wanted).filter(|other| other.id != wanted.id) {
            self.refuse(format!(
                "it wants `State<{}>` and `State<{}>`; a plugin has one state",
                other.name, wanted.name
            ));
        }
        Slot::default()
    }

    /// The response is JSON of a `T`.
    pub(crate) fn json_response<T: JsonSchema>(&mut self) {
        let schema = self.output.subschema_for::<T>().to_value();
        self.response = Some(json!({"status": 200, "content_type": "application/json", "schema": schema}));
    }

    /// The response is of this content type, with nothing more to say about it.
    pub(crate) fn plain_response(&mut self, content_type: &str) {
        self.response =
            Some(json!({"status": 200, "content_type": content_type, "schema": {"type": "string"}}));
    }

    /// The response has no body and sends the client elsewhere.
    pub(crate) fn redirect_response(&mut self) {
        self.response = Some(json!({"status": 307, "content_type": null, "schema": null}));
    }

    /// The response is a stream, of which nothing more is known: no content type either, as FastAPI has it of a
    /// `StreamingResponse`.
    pub(crate) fn stream_response(&mut self) {
        self.streams = true;
        self.empty_response();
    }

    /// The response has no body.
    pub(crate) fn empty_response(&mut self) {
        self.response = Some(json!({"status": 200, "content_type": null, "schema": null}));
    }

    /// Streams that name no content type have this one; after the response was described.
    pub fn content_type(&mut self, content_type: &str) {
        if self.streams {
            self.plain_response(content_type);
        } else {
            self.refuse("it declares a `content_type` and returns no `Body`; other responses have their own: remove it");
        }
    }

    /// Responses that set no status code themselves have this one; after the response was described.
    pub fn status(&mut self, status: u16) {
        self.status = Some(status);
        let response = self.response.get_or_insert_with(|| json!({}));
        let has_body = response.get("content_type").is_some_and(|content_type| !content_type.is_null());
        response["status"] = status.into();
        if has_body && matches!(status, 204 | 205 | 304) {
            self.refuse(format!(
                "a response with status {status} has no body; return `()` or `Response`, or choose another `status`"
            ));
        }
    }

    /// Schema of each of the slot's names and whether it is required.
    fn field_schemas(&self, slot: &Slot) -> Vec<(Value, bool)> {
        let resolved = resolve(&slot.schema, self.input.definitions());
        match slot.shape {
            Shape::Scalar => vec![(slot.schema.clone(), !is_nullable(&slot.schema))],
            Shape::Tuple => {
                let positional = resolved.get("prefixItems").and_then(Value::as_array);
                positional.into_iter().flatten().map(|schema| (schema.clone(), true)).collect()
            }
            Shape::Fields => {
                let properties = resolved.get("properties").and_then(Value::as_object);
                properties
                    .into_iter()
                    .flatten()
                    .map(|(name, schema)| (schema.clone(), is_required(resolved, name)))
                    .collect()
            }
        }
    }

    /// Metadata and everything else there is to know about the handler `name`.
    pub(crate) fn finish(mut self, name: &str, kind: &str, doc: &str) -> Description {
        let definitions = self.input.take_definitions(true);
        let mut schemas = definitions.clone();
        let inline = self.parameters.iter().chain(&self.request_body);
        let definitions = match Definitions::new(definitions, inline) {
            Ok(definitions) => definitions,
            Err(problem) => {
                self.refuse(problem);
                Definitions::default()
            }
        };
        // In FastAPI's order of places, and as declared within each.
        let places = [Source::Path, Source::Query, Source::Header, Source::Cookie].map(Source::place);
        self.parameters.sort_by_key(|parameter| places.iter().position(|place| parameter["in"] == *place));
        let mut response = self.response.unwrap_or(Value::Null);
        add_output_schemas(&mut schemas, self.output.take_definitions(true), &mut response);
        let (summary, description) = split_doc(doc);
        let mut meta = json!({
            "name": name,
            "kind": kind,
            "summary": summary,
            "description": description,
            "parameters": self.parameters,
            "request_body": self.request_body,
            "response": response,
            "schemas": schemas,
        });
        if let Some(status) = self.status {
            meta["status"] = status.into();
        }
        if let Some(problem) = self.problem {
            meta["error"] = Value::String(problem);
        }
        Description {
            params: self.params,
            reads_body: self.reads_body,
            streams: self.streams,
            definitions: Arc::new(definitions),
            meta_json: meta.to_string(),
        }
    }
}

/// The schema itself, or the one its `$ref` names.
pub(crate) fn resolve<'a>(schema: &'a Value, definitions: &'a Schemas) -> &'a Value {
    let name = schema.get("$ref").and_then(Value::as_str).and_then(|path| path.strip_prefix(REF_PREFIX));
    name.and_then(|name| definitions.get(name)).unwrap_or(schema)
}

pub(crate) fn is_required(schema: &Value, name: &str) -> bool {
    let required = schema.get("required").and_then(Value::as_array);
    required.is_some_and(|list| list.iter().any(|required| required == name))
}

pub(crate) fn is_nullable(schema: &Value) -> bool {
    let is_null = |name: &Value| name == "null";
    let in_type = match schema.get("type") {
        Some(Value::Array(names)) => names.iter().any(is_null),
        Some(name) => is_null(name),
        None => false,
    };
    let variants = schema.get("anyOf").and_then(Value::as_array);
    in_type || variants.is_some_and(|variants| variants.iter().any(is_nullable))
}

/// Adds the response's named schemas to those of the request. One that has the name of another but reads differently gets
/// `-Output` appended, as in FastAPI's documents. That a response always has a field which a request may leave out is no
/// such difference there.
fn add_output_schemas(schemas: &mut Schemas, output: Schemas, response: &mut Value) {
    let without_required = |schema: &Value| {
        let mut schema = schema.clone();
        schema.as_object_mut().map(|fields| fields.remove("required"));
        schema
    };
    let mut clashing: Vec<String> = Vec::new();
    let mut shared: Vec<String> = Vec::new();
    for (name, schema) in &output {
        match schemas.get(name) {
            Some(known) if without_required(known) != without_required(schema) => clashing.push(name.clone()),
            Some(_) => shared.push(name.clone()),
            None => {}
        }
    }
    // What holds a schema with two forms has two itself.
    while let Some(index) =
        shared.iter().position(|name| clashing.iter().any(|clash| refers_to(&output[name.as_str()], clash)))
    {
        clashing.push(shared.swap_remove(index));
    }
    let rename = |value: &mut Value| clashing.iter().for_each(|name| rename_ref(value, name));
    rename(response);
    for (name, mut schema) in output {
        if shared.contains(&name) {
            continue;
        }
        rename(&mut schema);
        let name = if clashing.contains(&name) { format!("{name}-Output") } else { name };
        schemas.insert(name, schema);
    }
}

fn refers_to(value: &Value, name: &str) -> bool {
    match value {
        Value::Object(fields) => fields.iter().any(|(key, inner)| match inner {
            Value::String(path) if key == "$ref" => path.strip_prefix(REF_PREFIX) == Some(name),
            _ => refers_to(inner, name),
        }),
        Value::Array(list) => list.iter().any(|inner| refers_to(inner, name)),
        _ => false,
    }
}

fn rename_ref(value: &mut Value, name: &str) {
    match value {
        Value::Object(fields) => rename_ref_in(fields, name),
        Value::Array(list) => list.iter_mut().for_each(|inner| rename_ref(inner, name)),
        _ => {}
    }
}

fn rename_ref_in(fields: &mut Map<String, Value>, name: &str) {
    for (key, inner) in fields {
        match inner {
            Value::String(path) if key == "$ref" && path.strip_prefix(REF_PREFIX) == Some(name) => {
                *path = format!("{REF_PREFIX}{name}-Output");
            }
            _ => rename_ref(inner, name),
        }
    }
}

/// A doc comment's first paragraph in one line, and the whole.
fn split_doc(doc: &str) -> (String, String) {
    let doc: Vec<&str> = doc.lines().map(|line| line.strip_prefix(' ').unwrap_or(line)).collect();
    let whole = doc.join("\n").trim().to_owned();
    let summary = whole.split("\n\n").next().unwrap_or_default().lines().collect::<Vec<_>>().join(" ");
    (summary.trim_end_matches('.').to_owned(), whole)
}

#[cfg(test)]
mod tests {
    use schemars::JsonSchema;
    use serde::{Deserialize, Serialize};
    use serde_json::{json, Value};

    use super::{split_doc, Argument, Operation, Shape};

    fn meta(operation: Operation) -> Value {
        serde_json::from_str(&operation.finish("hot.x", "sync", " Does it.\n\n At length.").meta_json)
            .unwrap()
    }

    #[derive(Deserialize, JsonSchema)]
    #[allow(dead_code, reason = "only described")]
    struct Page {
        limit: i64,
        #[serde(default)]
        verbose: bool,
        cursor: Option<String>,
    }

    #[derive(Deserialize, Serialize, JsonSchema)]
    #[allow(dead_code, reason = "only described")]
    struct Item {
        #[serde(skip_serializing)]
        secret: String,
        name: String,
    }

    #[test]
    fn parameters_carry_name_place_and_schema() {
        let mut operation = Operation::new();
        let user = operation.path::<i64>(&Argument { names: &["user_id"] });
        let pair = operation.path::<(i64, String)>(&Argument { names: &["a", "b"] });
        let page = operation.query::<Page>(&Argument { names: &["page"] }, false);
        assert_eq!((user.first, pair.first, page.shape), (0, 1, Shape::Fields));
        let meta = meta(operation);
        let brief: Vec<(&str, &str, bool)> = meta["parameters"]
            .as_array()
            .unwrap()
            .iter()
            .map(|p| {
                (p["name"].as_str().unwrap(), p["in"].as_str().unwrap(), p["required"].as_bool().unwrap())
            })
            .collect();
        assert_eq!(
            brief,
            [
                ("user_id", "path", true),
                ("a", "path", true),
                ("b", "path", true),
                ("limit", "query", true),
                ("verbose", "query", false),
                ("cursor", "query", false),
            ]
        );
        assert_eq!(meta["parameters"][0]["schema"], json!({"type": "integer", "format": "int64"}));
        assert_eq!(meta["parameters"][4]["schema"], json!({"type": "boolean", "default": false}));
        assert_eq!(
            (&meta["summary"], &meta["description"]),
            (&json!("Does it"), &json!("Does it.\n\nAt length."))
        );
    }

    #[test]
    fn a_type_that_reads_and_writes_differently_has_two_schemas() {
        let mut operation = Operation::new();
        operation.json_body::<Item>(true);
        operation.json_response::<Vec<Item>>();
        let meta = meta(operation);
        assert_eq!(meta["request_body"]["schema"], json!({"$ref": "#/components/schemas/Item"}));
        assert_eq!(meta["response"]["schema"]["items"], json!({"$ref": "#/components/schemas/Item-Output"}));
        assert_eq!(meta["schemas"]["Item"]["required"], json!(["secret", "name"]));
        assert_eq!(meta["schemas"]["Item-Output"]["required"], json!(["name"]));
    }

    #[test]
    fn what_cannot_work_is_refused_with_the_fix() {
        let refused = |describe: fn(&mut Operation)| {
            let mut operation = Operation::new();
            describe(&mut operation);
            meta(operation)["error"].as_str().unwrap_or_default().to_owned()
        };
        let path = refused(|operation| drop(operation.path::<(i64, i64)>(&Argument { names: &["both"] })));
        assert!(path.contains("write `Path(name): Path<T>`"), "{path}");
        let query = refused(|operation| drop(operation.query::<i64>(&Argument { names: &[] }, false)));
        assert!(query.contains("write `Query(name): Query<T>`"), "{query}");
        let body = refused(|operation| {
            operation.json_body::<Item>(true);
            operation.raw_body();
        });
        assert!(body.contains("reads the body twice"), "{body}");
        let state = refused(|operation| {
            operation.state::<u8>();
            operation.state::<u16>();
        });
        let whole = refused(|operation| {
            operation.json_response::<Item>();
            operation.content_type("text/csv");
        });
        assert!(whole.contains("returns no `Body`"), "{whole}");
        let bodiless = refused(|operation| {
            operation.json_response::<Item>();
            operation.status(204);
        });
        assert!(bodiless.contains("a response with status 204 has no body"), "{bodiless}");
        assert_eq!(state, "it wants `State<u8>` and `State<u16>`; a plugin has one state");
        assert_eq!(refused(|_| {}), "");
    }

    #[test]
    fn the_summary_is_the_first_paragraph() {
        assert_eq!(
            split_doc(" One\n line.\n\n More."),
            ("One line".to_owned(), "One\nline.\n\nMore.".to_owned())
        );
        assert_eq!(split_doc(""), (String::new(), String::new()));
    }
}
