//! JSON into the lent buffer.
//!
//! What is a single value, or may be a key of a map, sonic-rs knows and writes ([`Short`] for it where text is short). What holds
//! values together is written here: for the small answers that most handlers give, the library takes more than twice as many
//! instructions.

mod lent;
mod serializer;
mod text;

use serde::Serialize;

use super::ResponseWriter;
use lent::Lent;
use serializer::Direct;
use text::Short;

/// Appends `value` to the body.
#[inline]
pub(super) fn append<T: Serialize + ?Sized>(
    response: &mut ResponseWriter<'_>,
    value: &T,
) -> Result<(), sonic_rs::Error> {
    let mut lent = Lent::new(response);
    let written = value.serialize(Direct::new(&mut lent));
    lent.settle();
    written
}

#[cfg(test)]
mod tests;
