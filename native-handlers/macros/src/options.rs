//! What stands in the parentheses of `#[native_handler(...)]`.

use syn::parse::{Parse, ParseStream};
use syn::{Error, Ident, LitStr, Result, Token};

/// The options of the attribute.
#[derive(Default)]
pub(crate) struct Options {
    pub(crate) name: Option<LitStr>,
    pub(crate) blocking: Option<Ident>,
}

const KNOWN: &str = "`#[native_handler]` knows `name = \"...\"` and `blocking`";

impl Parse for Options {
    fn parse(input: ParseStream<'_>) -> Result<Self> {
        let mut options = Options::default();
        while !input.is_empty() {
            let option: Ident = input.parse()?;
            if option == "name" {
                input.parse::<Token![=]>()?;
                let name: LitStr = input.parse()?;
                if !is_name(&name.value()) {
                    return Err(Error::new(
                        name.span(),
                        "a handler's name has letters, digits, `_`, `-` and `.` only",
                    ));
                }
                if options.name.replace(name).is_some() {
                    return Err(Error::new(option.span(), "`name` is given twice"));
                }
            } else if option == "blocking" {
                options.blocking = Some(option);
            } else {
                return Err(Error::new(option.span(), format!("unknown option `{option}`: {KNOWN}")));
            }
            if !input.is_empty() {
                input.parse::<Token![,]>()?;
            }
        }
        Ok(options)
    }
}

fn is_name(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.'))
}
