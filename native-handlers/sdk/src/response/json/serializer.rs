//! Objects and arrays.

use std::fmt::Display;

use serde::ser::{
    Error as _, SerializeMap, SerializeSeq, SerializeStruct, SerializeStructVariant, SerializeTuple,
    SerializeTupleStruct, SerializeTupleVariant,
};
use serde::{Serialize, Serializer};
use sonic_rs::Error;

use super::text::{is_plain, SHORT};
use super::{Lent, Short};

/// How the library's own types, which are JSON already, call themselves.
const OF_THE_LIBRARY: &str = "$sonic_rs::";

/// Writes one value.
pub(super) struct Direct<'l, 'w, 'a> {
    lent: &'l mut Lent<'w, 'a>,
}

impl<'l, 'w, 'a> Direct<'l, 'w, 'a> {
    #[inline(always)]
    pub(super) fn new(lent: &'l mut Lent<'w, 'a>) -> Self {
        Direct { lent }
    }

    #[inline(always)]
    fn library(self) -> sonic_rs::Serializer<&'l mut Lent<'w, 'a>, Short> {
        sonic_rs::Serializer::with_formatter(self.lent, Short)
    }

    #[inline(always)]
    fn parts(self, begin: &'static str, end: &'static str) -> Parts<'l, 'w, 'a> {
        Parts { lent: self.lent, begin: Some(begin), end, library_type: None }
    }

    /// Opens the object around a variant.
    #[inline(always)]
    fn variant(&mut self, name: &'static str) -> Result<(), Error> {
        key(self.lent, "{", name)
    }
}

/// Writes the name of a field, and what stands before and behind it.
#[inline(always)]
fn key(lent: &mut Lent<'_, '_>, before: &'static str, name: &'static str) -> Result<(), Error> {
    // The name is known when a handler is compiled, and so is the outcome of this.
    if name.len() <= SHORT && is_plain(name.as_bytes()) {
        return lent.name(before, name).map_err(Error::custom);
    }
    lent.piece(before).map_err(Error::custom)?;
    Direct::new(lent).serialize_str(name)?;
    lent.piece(":").map_err(Error::custom)
}

/// Leaves single values to the library.
macro_rules! by_the_library {
    ($($method:ident($type:ty))*) => {
        $(#[inline]
        fn $method(self, value: $type) -> Result<(), Error> {
            (&mut self.library()).$method(value)
        })*
    };
}

impl<'l, 'w, 'a> Serializer for Direct<'l, 'w, 'a> {
    type Ok = ();
    type Error = Error;
    type SerializeSeq = Parts<'l, 'w, 'a>;
    type SerializeTuple = Parts<'l, 'w, 'a>;
    type SerializeTupleStruct = Parts<'l, 'w, 'a>;
    type SerializeTupleVariant = Parts<'l, 'w, 'a>;
    type SerializeMap = Parts<'l, 'w, 'a>;
    type SerializeStruct = Parts<'l, 'w, 'a>;
    type SerializeStructVariant = Parts<'l, 'w, 'a>;

    by_the_library! {
        serialize_bool(bool) serialize_i8(i8) serialize_i16(i16) serialize_i32(i32) serialize_i64(i64) serialize_i128(i128)
        serialize_u8(u8) serialize_u16(u16) serialize_u32(u32) serialize_u64(u64) serialize_u128(u128) serialize_f32(f32)
        serialize_f64(f64) serialize_char(char) serialize_str(&str) serialize_bytes(&[u8]) serialize_unit_struct(&'static str)
    }

    #[inline]
    fn serialize_unit(self) -> Result<(), Error> {
        self.lent.piece("null").map_err(Error::custom)
    }

    #[inline]
    fn serialize_none(self) -> Result<(), Error> {
        self.serialize_unit()
    }

    #[inline]
    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<(), Error> {
        value.serialize(self)
    }

    #[inline]
    fn serialize_unit_variant(
        self,
        _name: &'static str,
        _index: u32,
        variant: &'static str,
    ) -> Result<(), Error> {
        self.serialize_str(variant)
    }

    #[inline]
    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        _name: &'static str,
        value: &T,
    ) -> Result<(), Error> {
        value.serialize(self)
    }

    #[inline]
    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        mut self,
        _name: &'static str,
        _index: u32,
        variant: &'static str,
        value: &T,
    ) -> Result<(), Error> {
        self.variant(variant)?;
        value.serialize(Direct::new(self.lent))?;
        self.lent.piece("}").map_err(Error::custom)
    }

    #[inline]
    fn serialize_seq(self, _len: Option<usize>) -> Result<Parts<'l, 'w, 'a>, Error> {
        Ok(self.parts("[", "]"))
    }

    #[inline]
    fn serialize_tuple(self, _len: usize) -> Result<Parts<'l, 'w, 'a>, Error> {
        Ok(self.parts("[", "]"))
    }

    #[inline]
    fn serialize_tuple_struct(self, _name: &'static str, _len: usize) -> Result<Parts<'l, 'w, 'a>, Error> {
        Ok(self.parts("[", "]"))
    }

    #[inline]
    fn serialize_tuple_variant(
        mut self,
        _name: &'static str,
        _index: u32,
        variant: &'static str,
        _len: usize,
    ) -> Result<Parts<'l, 'w, 'a>, Error> {
        self.variant(variant)?;
        Ok(self.parts("[", "]}"))
    }

    #[inline]
    fn serialize_map(self, _len: Option<usize>) -> Result<Parts<'l, 'w, 'a>, Error> {
        Ok(self.parts("{", "}"))
    }

    #[inline(always)]
    fn serialize_struct(self, name: &'static str, _len: usize) -> Result<Parts<'l, 'w, 'a>, Error> {
        if name.starts_with(OF_THE_LIBRARY) {
            return Ok(Parts { lent: self.lent, begin: None, end: "", library_type: Some(name) });
        }
        Ok(self.parts("{", "}"))
    }

    #[inline]
    fn serialize_struct_variant(
        mut self,
        _name: &'static str,
        _index: u32,
        variant: &'static str,
        _len: usize,
    ) -> Result<Parts<'l, 'w, 'a>, Error> {
        self.variant(variant)?;
        Ok(self.parts("{", "}}"))
    }

    #[inline]
    fn collect_str<T: Display + ?Sized>(self, value: &T) -> Result<(), Error> {
        (&mut self.library()).collect_str(value)
    }
}

/// Writes values one after the other, and what holds them together.
pub(super) struct Parts<'l, 'w, 'a> {
    lent: &'l mut Lent<'w, 'a>,
    /// What stands before the first one, until that is written.
    begin: Option<&'static str>,
    /// What stands behind the last one.
    end: &'static str,
    /// The name, where it is a type of the library's own.
    library_type: Option<&'static str>,
}

impl Parts<'_, '_, '_> {
    /// What stands before the next one.
    #[inline(always)]
    fn before(&mut self) -> &'static str {
        self.begin.take().unwrap_or(",")
    }

    #[inline(always)]
    fn element<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Error> {
        let before = self.before();
        self.lent.piece(before).map_err(Error::custom)?;
        value.serialize(Direct::new(self.lent))
    }

    #[inline(always)]
    fn field<T: Serialize + ?Sized>(&mut self, name: &'static str, value: &T) -> Result<(), Error> {
        if let Some(library_type) = self.library_type {
            let whole = OfTheLibrary { library_type, name, value };
            return whole.serialize(&mut Direct::new(self.lent).library());
        }
        let before = self.before();
        key(self.lent, before, name)?;
        value.serialize(Direct::new(self.lent))
    }

    #[inline(always)]
    fn close(self) -> Result<(), Error> {
        if let Some(begin) = self.begin {
            self.lent.piece(begin).map_err(Error::custom)?;
        }
        self.lent.piece(self.end).map_err(Error::custom)
    }
}

/// A value of a type of the library's own, as that serializes it.
struct OfTheLibrary<'v, T: ?Sized> {
    library_type: &'static str,
    name: &'static str,
    value: &'v T,
}

impl<T: Serialize + ?Sized> Serialize for OfTheLibrary<'_, T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut whole = serializer.serialize_struct(self.library_type, 1)?;
        whole.serialize_field(self.name, self.value)?;
        whole.end()
    }
}

/// The traits whose parts have no names.
macro_rules! elements {
    ($($of:ident $method:ident)*) => {
        $(impl $of for Parts<'_, '_, '_> {
            type Ok = ();
            type Error = Error;

            #[inline]
            fn $method<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Error> {
                self.element(value)
            }

            #[inline(always)]
            fn end(self) -> Result<(), Error> {
                self.close()
            }
        })*
    };
}

elements! {
    SerializeSeq serialize_element
    SerializeTuple serialize_element
    SerializeTupleStruct serialize_field
    SerializeTupleVariant serialize_field
}

/// The traits whose parts have names that are known when a handler is compiled.
macro_rules! fields {
    ($($of:ident)*) => {
        $(impl $of for Parts<'_, '_, '_> {
            type Ok = ();
            type Error = Error;

            #[inline(always)]
            fn serialize_field<T: Serialize + ?Sized>(&mut self, name: &'static str, value: &T) -> Result<(), Error> {
                self.field(name, value)
            }

            #[inline(always)]
            fn end(self) -> Result<(), Error> {
                self.close()
            }
        })*
    };
}

fields! { SerializeStruct SerializeStructVariant }

impl SerializeMap for Parts<'_, '_, '_> {
    type Ok = ();
    type Error = Error;

    /// What can be a key, and how it is written, is up to the library: it begins a map for each. Of the braces the first one
    /// stays; the others become the commas.
    #[inline]
    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), Error> {
        let brace = self.lent.written();
        (&mut Direct::new(self.lent).library()).serialize_map(Some(1))?.serialize_key(key)?;
        if self.begin.take().is_none() {
            self.lent.overwrite(brace, b',');
        }
        Ok(())
    }

    #[inline]
    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Error> {
        self.lent.piece(":").map_err(Error::custom)?;
        value.serialize(Direct::new(self.lent))
    }

    #[inline]
    fn end(self) -> Result<(), Error> {
        self.close()
    }
}
