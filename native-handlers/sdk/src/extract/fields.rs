//! Text values by name, deserialized by Pydantic's rules for text: path parameters, query strings, header fields, cookies
//! and forms.

use std::borrow::Cow;
use std::fmt;

use serde::de::value::StrDeserializer;
use serde::de::{
    DeserializeOwned, DeserializeSeed, Deserializer, EnumAccess, Error as _, IntoDeserializer, MapAccess,
    SeqAccess, VariantAccess, Visitor,
};
use serde::forward_to_deserialize_any;

use super::{Rejection, Source};
use crate::describe::{is_required, resolve, Shape, Slot};
use crate::validate::{scalar, Item, Step, Value};

/// Values that have names.
pub(super) trait Fields {
    /// The one value of `name` that counts.
    fn one(&self, name: &str) -> Option<Cow<'_, str>>;
    /// The one value of the only name, where it is at hand without the name.
    fn only(&self) -> Option<Cow<'_, str>> {
        None
    }
    /// Every value of `name`.
    fn all(&self, name: &str) -> Vec<Cow<'_, str>>;
    /// Every name, each once.
    fn names(&self) -> Vec<Cow<'_, str>>;
    /// What `name` is, where it is no text: no type that is read from text fits that.
    fn other(&self, _name: &str) -> Option<Value> {
        None
    }
    /// What the client calls `name`.
    fn shown(&self, name: &str) -> String {
        name.to_owned()
    }
    /// Whether `sent`, one of [`names`](Fields::names), is what `name` reads.
    fn is(&self, name: &str, sent: &str) -> bool {
        name == sent
    }
}

/// Why text did not deserialize; what the client gets to read is made elsewhere.
#[derive(Debug)]
pub(super) struct TextError(Cow<'static, str>);

impl fmt::Display for TextError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for TextError {}

impl serde::de::Error for TextError {
    fn custom<T: fmt::Display>(message: T) -> Self {
        TextError(message.to_string().into())
    }
}

const NOT_OF_THE_TYPE: TextError = TextError(Cow::Borrowed("the text does not fit the type"));

/// Reads a `T` and holds it against its constraints.
pub(super) fn extract<T: DeserializeOwned, F: Fields>(
    fields: &F,
    slot: &Slot,
    source: Source,
) -> Result<T, Rejection> {
    let value = match read(fields, slot) {
        Ok(value) => value,
        Err(error) => return Err(Rejection::invalid(source, explain_failure(fields, slot, source, &error))),
    };
    if slot.constrained {
        let items = explain(fields, slot, source);
        if !items.is_empty() {
            return Err(Rejection::invalid(source, items));
        }
    }
    Ok(value)
}

/// [`extract`], or `None` where the request has none of the fields.
pub(super) fn extract_optional<T: DeserializeOwned, F: Fields>(
    fields: &F,
    slot: &Slot,
    source: Source,
) -> Result<Option<T>, Rejection> {
    // A struct that refuses unknown fields is there as soon as anything is.
    let is_there =
        slot.names.iter().any(|name| fields.one(name).is_some()) || slot.closed && !fields.names().is_empty();
    if is_there {
        extract(fields, slot, source).map(Some)
    } else {
        Ok(None)
    }
}

/// Reads a `T` by its shape: a struct's fields, or the one value of a scalar.
fn read<T: DeserializeOwned, F: Fields>(fields: &F, slot: &Slot) -> Result<T, TextError> {
    match slot.shape {
        Shape::Scalar => {
            let name = slot.names.first().map_or("", String::as_str);
            T::deserialize(Field { fields, name, found: fields.only() })
        }
        Shape::Tuple => T::deserialize(Positional { fields, names: &slot.names }),
        Shape::Fields => T::deserialize(Named { fields }),
    }
}

/// What is wrong with the fields, in Pydantic's words.
pub(super) fn explain<F: Fields>(fields: &F, slot: &Slot, source: Source) -> Vec<Item> {
    if slot.is_model {
        return explain_model(fields, slot, source);
    }
    let resolved = resolve(&slot.schema, &slot.definitions.schemas);
    let mut items = Vec::new();
    for (index, name) in slot.names.iter().enumerate() {
        let (schema, required) = match slot.shape {
            Shape::Scalar => (&slot.schema, !crate::describe::is_nullable(&slot.schema)),
            Shape::Tuple => (&resolved["prefixItems"][index], true),
            Shape::Fields => (&resolved["properties"][name.as_str()], is_required(resolved, name)),
        };
        let loc = vec![Step::from(source.place()), Step::Name(fields.shown(name))];
        match value_of(fields, name, schema) {
            Some(value) => drop(slot.check(&value, schema, loc, &mut items)),
            None if required => items.push(Item::missing(&loc, &Value::Null)),
            None => {}
        }
    }
    items
}

/// [`explain`], for what FastAPI validates as one Pydantic model: what is missing is missing in all that was sent.
fn explain_model<F: Fields>(fields: &F, slot: &Slot, source: Source) -> Vec<Item> {
    let resolved = resolve(&slot.schema, &slot.definitions.schemas);
    let mut sent: Vec<(String, Value)> = Vec::new();
    for name in &slot.names {
        if let Some(value) = value_of(fields, name, &resolved["properties"][name.as_str()]) {
            sent.push((name.clone(), value));
        }
    }
    for name in fields.names() {
        if slot.names.iter().any(|known| fields.is(known, &name)) {
            continue;
        }
        let mut all: Vec<Value> =
            fields.all(&name).into_iter().map(|text| Value::Str(text.into_owned())).collect();
        let value = if all.len() == 1 { all.remove(0) } else { Value::Array(all) };
        sent.push((name.into_owned(), value));
    }
    let mut items = Vec::new();
    slot.check(&Value::Object(sent), &slot.schema, vec![Step::from(source.place())], &mut items);
    for item in &mut items {
        if let Some(Step::Name(name)) = item.loc.get_mut(1) {
            if slot.names.contains(name) {
                *name = fields.shown(name);
            }
        }
    }
    items
}

fn value_of<F: Fields>(fields: &F, name: &str, schema: &serde_json::Value) -> Option<Value> {
    if let Some(value) = fields.other(name) {
        return Some(value);
    }
    if !is_list(schema) {
        return fields.one(name).map(|text| Value::Str(text.into_owned()));
    }
    let all = fields.all(name);
    (!all.is_empty())
        .then(|| Value::Array(all.into_iter().map(|text| Value::Str(text.into_owned())).collect()))
}

/// [`explain`], for fields that are known not to deserialize: never empty.
fn explain_failure<F: Fields>(fields: &F, slot: &Slot, source: Source, error: &TextError) -> Vec<Item> {
    let mut items = explain(fields, slot, source);
    if items.is_empty() {
        let mut loc = vec![Step::from(source.place())];
        let mut input = Value::Null;
        if let [name] = slot.names.as_slice() {
            loc.push(Step::Name(fields.shown(name)));
            input = fields.one(name).map_or(Value::Null, |text| Value::Str(text.into_owned()));
        }
        items.push(Item::refused(&loc, &error.0, &input));
    }
    items
}

/// Whether the schema wants several values.
pub(crate) fn is_list(schema: &serde_json::Value) -> bool {
    let is_array = |name: &serde_json::Value| name == "array";
    match &schema["type"] {
        serde_json::Value::Array(names) => names.iter().any(is_array),
        name => is_array(name) || schema["anyOf"].as_array().is_some_and(|list| list.iter().any(is_list)),
    }
}

/// A struct's fields, looked up by the names the struct asks for.
struct Named<'a, F> {
    fields: &'a F,
}

impl<'de, F: Fields> Deserializer<'de> for Named<'_, F> {
    type Error = TextError;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, TextError> {
        let names = self.fields.names();
        visitor.visit_map(Entries {
            fields: self.fields,
            names: names.iter().map(|name| &**name),
            current: None,
        })
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        names: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, TextError> {
        visitor.visit_map(Entries { fields: self.fields, names: names.iter().copied(), current: None })
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        visitor: V,
    ) -> Result<V::Value, TextError> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, TextError> {
        visitor.visit_some(self)
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit unit_struct seq tuple
        tuple_struct map enum identifier ignored_any
    }
}

struct Entries<'a, F, N> {
    fields: &'a F,
    names: N,
    /// The name whose value comes next, with that value.
    current: Option<(&'a str, Cow<'a, str>)>,
}

impl<'de, 'a, F: Fields, N: Iterator<Item = &'a str>> MapAccess<'de> for Entries<'a, F, N> {
    type Error = TextError;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, TextError> {
        for name in self.names.by_ref() {
            if let Some(text) = self.fields.one(name) {
                self.current = Some((name, text));
                let key: StrDeserializer<'_, TextError> = name.into_deserializer();
                return seed.deserialize(key).map(Some);
            }
        }
        Ok(None)
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, TextError> {
        let (name, text) = self.current.take().ok_or(NOT_OF_THE_TYPE)?;
        seed.deserialize(Field { fields: self.fields, name, found: Some(text) })
    }
}

/// The values of one name.
struct Field<'a, F> {
    fields: &'a F,
    name: &'a str,
    /// The one that counts, where it has been looked up.
    found: Option<Cow<'a, str>>,
}

impl<'a, F: Fields> Field<'a, F> {
    fn look_up(&mut self) -> bool {
        if self.found.is_none() {
            self.found = self.fields.one(self.name);
        }
        self.found.is_some()
    }

    fn text(mut self) -> Result<Text<'a>, TextError> {
        self.look_up();
        match self.found {
            Some(text) => Ok(Text(text)),
            None => Err(TextError::custom(format_args!("`{}` is missing", self.name))),
        }
    }
}

/// Hands the methods named to the [`Text`] of the field.
macro_rules! forward_to_text {
    ($($method:ident)*) => {
        $(fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, TextError> {
            self.text()?.$method(visitor)
        })*
    };
}

impl<'de, F: Fields> Deserializer<'de> for Field<'_, F> {
    type Error = TextError;

    forward_to_text! {
        deserialize_any deserialize_bool deserialize_i8 deserialize_i16 deserialize_i32 deserialize_i64 deserialize_i128
        deserialize_u8 deserialize_u16 deserialize_u32 deserialize_u64 deserialize_u128 deserialize_f32 deserialize_f64
        deserialize_char deserialize_str deserialize_string deserialize_bytes deserialize_byte_buf deserialize_unit
        deserialize_map deserialize_identifier deserialize_ignored_any
    }

    fn deserialize_option<V: Visitor<'de>>(mut self, visitor: V) -> Result<V::Value, TextError> {
        if self.look_up() {
            visitor.visit_some(self)
        } else {
            visitor.visit_none()
        }
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, TextError> {
        visitor.visit_seq(Texts(self.fields.all(self.name).into_iter()))
    }

    fn deserialize_tuple<V: Visitor<'de>>(self, _len: usize, visitor: V) -> Result<V::Value, TextError> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _len: usize,
        visitor: V,
    ) -> Result<V::Value, TextError> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        visitor: V,
    ) -> Result<V::Value, TextError> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        visitor: V,
    ) -> Result<V::Value, TextError> {
        self.text()?.deserialize_any(visitor)
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, TextError> {
        self.text()?.deserialize_any(visitor)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, TextError> {
        self.text()?.deserialize_enum(name, variants, visitor)
    }
}

/// Several names by position.
struct Positional<'a, F> {
    fields: &'a F,
    names: &'a [String],
}

impl<'de, F: Fields> Deserializer<'de> for Positional<'_, F> {
    type Error = TextError;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, TextError> {
        visitor.visit_seq(self)
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit unit_struct
        newtype_struct seq tuple tuple_struct map struct enum identifier ignored_any
    }
}

impl<'de, F: Fields> SeqAccess<'de> for Positional<'_, F> {
    type Error = TextError;

    fn next_element_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, TextError> {
        let Some((name, rest)) = self.names.split_first() else { return Ok(None) };
        self.names = rest;
        seed.deserialize(Field { fields: self.fields, name, found: None }).map(Some)
    }
}

struct Texts<'a>(std::vec::IntoIter<Cow<'a, str>>);

impl<'de> SeqAccess<'de> for Texts<'_> {
    type Error = TextError;

    fn next_element_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, TextError> {
        self.0.next().map(|text| seed.deserialize(Text(text))).transpose()
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.0.len())
    }
}

/// One value.
struct Text<'a>(Cow<'a, str>);

/// Reads an integer: plain digits at once, Pydantic's other spellings on a second look.
macro_rules! integers {
    ($($method:ident $visit:ident)*) => {
        $(fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, TextError> {
            let parsed = self.0.parse().ok().or_else(|| scalar::integer(&self.0)?.parse().ok());
            visitor.$visit(parsed.ok_or(NOT_OF_THE_TYPE)?)
        })*
    };
}

impl<'de> Deserializer<'de> for Text<'_> {
    type Error = TextError;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, TextError> {
        match self.0 {
            Cow::Borrowed(text) => visitor.visit_str(text),
            Cow::Owned(text) => visitor.visit_string(text),
        }
    }

    integers! {
        deserialize_i8 visit_i8 deserialize_i16 visit_i16 deserialize_i32 visit_i32 deserialize_i64 visit_i64
        deserialize_i128 visit_i128 deserialize_u8 visit_u8 deserialize_u16 visit_u16 deserialize_u32 visit_u32
        deserialize_u64 visit_u64 deserialize_u128 visit_u128
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, TextError> {
        visitor.visit_bool(scalar::boolean(&self.0).ok_or(NOT_OF_THE_TYPE)?)
    }

    fn deserialize_f32<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, TextError> {
        visitor.visit_f32(scalar::float(&self.0).ok_or(NOT_OF_THE_TYPE)? as f32)
    }

    fn deserialize_f64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, TextError> {
        visitor.visit_f64(scalar::float(&self.0).ok_or(NOT_OF_THE_TYPE)?)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, TextError> {
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        visitor: V,
    ) -> Result<V::Value, TextError> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, TextError> {
        visitor.visit_enum(self)
    }

    forward_to_deserialize_any! {
        char str string bytes byte_buf unit unit_struct seq tuple tuple_struct map struct identifier ignored_any
    }
}

impl<'de> EnumAccess<'de> for Text<'_> {
    type Error = TextError;
    type Variant = UnitOnly;

    fn variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<(S::Value, UnitOnly), TextError> {
        Ok((seed.deserialize(self)?, UnitOnly))
    }
}

/// Text has no place for what a variant would hold.
struct UnitOnly;

impl<'de> VariantAccess<'de> for UnitOnly {
    type Error = TextError;

    fn unit_variant(self) -> Result<(), TextError> {
        Ok(())
    }

    fn newtype_variant_seed<S: DeserializeSeed<'de>>(self, _seed: S) -> Result<S::Value, TextError> {
        Err(NOT_OF_THE_TYPE)
    }

    fn tuple_variant<V: Visitor<'de>>(self, _len: usize, _visitor: V) -> Result<V::Value, TextError> {
        Err(NOT_OF_THE_TYPE)
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        _fields: &'static [&'static str],
        _visitor: V,
    ) -> Result<V::Value, TextError> {
        Err(NOT_OF_THE_TYPE)
    }
}
