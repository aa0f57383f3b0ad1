//! Text values by name, deserialized by Pydantic's rules for text: path parameters and query strings.

use std::borrow::Cow;
use std::fmt;

use serde::de::value::StrDeserializer;
use serde::de::{
    DeserializeOwned, DeserializeSeed, Deserializer, EnumAccess, Error as _, IntoDeserializer, MapAccess,
    SeqAccess, VariantAccess, Visitor,
};
use serde::forward_to_deserialize_any;

use crate::describe::{is_required, resolve, Shape, Slot};
use crate::validate::{check, scalar, Item, Step, Value};

/// Values that have names.
pub(super) trait Fields {
    /// The last value of `name`.
    fn last(&self, name: &str) -> Option<Cow<'_, str>>;
    /// Every value of `name`.
    fn all(&self, name: &str) -> Vec<Cow<'_, str>>;
    /// Every name, each once.
    fn names(&self) -> Vec<Cow<'_, str>>;
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

/// Reads a `T` by its shape: a struct's fields, or the one value of a scalar.
pub(super) fn read<T: DeserializeOwned, F: Fields>(fields: &F, slot: &Slot) -> Result<T, TextError> {
    match slot.shape {
        Shape::Scalar => {
            T::deserialize(Field { fields, name: slot.names.first().map_or("", String::as_str) })
        }
        Shape::Tuple => T::deserialize(Positional { fields, names: &slot.names }),
        Shape::Fields => T::deserialize(Named { fields }),
    }
}

/// What is wrong with the fields, in Pydantic's words; `place` is the first step of each location.
pub(super) fn explain<F: Fields>(fields: &F, slot: &Slot, place: &str) -> Vec<Item> {
    let resolved = resolve(&slot.schema, &slot.definitions);
    let mut items = Vec::new();
    for (index, name) in slot.names.iter().enumerate() {
        let (schema, required) = match slot.shape {
            Shape::Scalar => (&slot.schema, !crate::describe::is_nullable(&slot.schema)),
            Shape::Tuple => (&resolved["prefixItems"][index], true),
            Shape::Fields => (&resolved["properties"][name.as_str()], is_required(resolved, name)),
        };
        let loc = vec![Step::from(place), Step::from(name.as_str())];
        match fields.last(name) {
            Some(_) if is_list(schema) => {
                let all = fields.all(name).into_iter().map(|text| Value::Str(text.into_owned())).collect();
                check(&Value::Array(all), schema, &slot.definitions, loc, &mut items);
            }
            Some(text) => {
                check(&Value::Str(text.into_owned()), schema, &slot.definitions, loc, &mut items);
            }
            None if required => items.push(Item::missing(&loc, &Value::Null)),
            None => {}
        }
    }
    items
}

/// [`explain`], for fields that are known not to deserialize: never empty.
pub(super) fn explain_failure<F: Fields>(
    fields: &F,
    slot: &Slot,
    place: &str,
    error: &TextError,
) -> Vec<Item> {
    let mut items = explain(fields, slot, place);
    if items.is_empty() {
        let mut loc = vec![Step::from(place)];
        let mut input = Value::Null;
        if let [name] = slot.names.as_slice() {
            loc.push(Step::from(name.as_str()));
            input = fields.last(name).map_or(Value::Null, |text| Value::Str(text.into_owned()));
        }
        items.push(Item::refused(&loc, &error.0, &input));
    }
    items
}

fn is_list(schema: &serde_json::Value) -> bool {
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
            current: "",
        })
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        names: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, TextError> {
        visitor.visit_map(Entries { fields: self.fields, names: names.iter().copied(), current: "" })
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
    current: &'a str,
}

impl<'de, 'a, F: Fields, N: Iterator<Item = &'a str>> MapAccess<'de> for Entries<'a, F, N> {
    type Error = TextError;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, TextError> {
        for name in self.names.by_ref() {
            if self.fields.last(name).is_some() {
                self.current = name;
                let key: StrDeserializer<'_, TextError> = name.into_deserializer();
                return seed.deserialize(key).map(Some);
            }
        }
        Ok(None)
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, TextError> {
        seed.deserialize(Field { fields: self.fields, name: self.current })
    }
}

/// The values of one name.
struct Field<'a, F> {
    fields: &'a F,
    name: &'a str,
}

impl<F: Fields> Field<'_, F> {
    fn text(&self) -> Result<Text<'_>, TextError> {
        match self.fields.last(self.name) {
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

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, TextError> {
        match self.fields.last(self.name) {
            Some(_) => visitor.visit_some(self),
            None => visitor.visit_none(),
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
        seed.deserialize(Field { fields: self.fields, name }).map(Some)
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
