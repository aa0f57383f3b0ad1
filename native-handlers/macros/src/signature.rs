//! Whether a function can be a handler, and what its arguments are called.

use syn::spanned::Spanned;
use syn::{
    Error, FnArg, GenericArgument, Ident, ItemFn, Pat, PathArguments, Result, ReturnType, Safety, Type,
};

use crate::options::Options;

/// An argument of a handler.
pub(crate) struct Argument {
    pub(crate) ty: Type,
    /// The identifiers its pattern binds, in order.
    pub(crate) names: Vec<Ident>,
}

/// Checks the signature and lists the arguments.
pub(crate) fn check(function: &ItemFn, options: &Options) -> Result<Vec<Argument>> {
    let signature = &function.sig;
    if let Some(blocking) = options.blocking.as_ref().filter(|_| signature.asyncness.is_some()) {
        return Err(Error::new(
            blocking.span(),
            "an `async fn` cannot be `blocking`: remove `async` to run it on a thread of its own, or remove `blocking` to await",
        ));
    }
    if !signature.generics.params.is_empty() {
        return Err(Error::new(
            signature.generics.span(),
            "a native handler cannot be generic: the host calls it by name, so write the types out (`RequestParts<'_>` needs no \
             lifetime parameter)",
        ));
    }
    if let Safety::Unsafe(unsafety) = &signature.safety {
        return Err(Error::new(
            unsafety.span(),
            "a native handler cannot be `unsafe`: the host calls it for any request",
        ));
    }
    if let Some(abi) = &signature.abi {
        return Err(Error::new(
            abi.span(),
            "remove `extern`: `#[native_handler]` writes the C function around this one",
        ));
    }
    if let ReturnType::Type(_, ty) = &signature.output {
        if matches!(**ty, Type::ImplTrait(_)) {
            return Err(Error::new(
                ty.span(),
                "a native handler names the type it returns, like `Json<User>`, `String` or `Result<Json<User>, HttpError>`",
            ));
        }
    }
    signature.inputs.iter().map(argument).collect()
}

fn argument(input: &FnArg) -> Result<Argument> {
    match input {
        FnArg::Receiver(receiver) => Err(Error::new(
            receiver.span(),
            "a native handler is a function, not a method: take `State(state): State<T>` instead of `self` and move it out of \
             the `impl`",
        )),
        FnArg::Typed(typed) => {
            if matches!(*typed.ty, Type::ImplTrait(_)) {
                return Err(Error::new(typed.ty.span(), "a native handler names the types of its arguments, like `Path<i64>`"));
            }
            if let Some(borrowed) = borrowed_value(&typed.ty) {
                return Err(Error::new(
                    borrowed.span(),
                    "an extractor gives values of their own, since text may have to be decoded: write `String` instead of `&str`, \
                     and `T` instead of `&T`",
                ));
            }
            let mut names = Vec::new();
            bound_names(&typed.pat, &mut names);
            Ok(Argument { ty: (*typed.ty).clone(), names })
        }
    }
}

/// The reference in `Header<&str>` or `Option<Query<&T>>`.
fn borrowed_value(ty: &Type) -> Option<&Type> {
    const EXTRACTORS: [&str; 6] = ["Path", "Query", "Header", "Cookie", "Form", "Json"];
    let Type::Path(path) = ty else { return None };
    let segment = path.path.segments.last()?;
    let PathArguments::AngleBracketed(arguments) = &segment.arguments else { return None };
    let GenericArgument::Type(inner) = arguments.args.first()? else { return None };
    match inner {
        Type::Reference(_) if EXTRACTORS.iter().any(|name| segment.ident == name) => Some(inner),
        inner if segment.ident == "Option" => borrowed_value(inner),
        _ => None,
    }
}

fn bound_names(pattern: &Pat, names: &mut Vec<Ident>) {
    match pattern {
        Pat::Ident(ident) => names.push(ident.ident.clone()),
        Pat::Tuple(tuple) => tuple.elems.iter().for_each(|pattern| bound_names(pattern, names)),
        Pat::TupleStruct(tuple) => tuple.elems.iter().for_each(|pattern| bound_names(pattern, names)),
        Pat::Struct(fields) => fields.fields.iter().for_each(|field| bound_names(&field.pat, names)),
        Pat::Paren(inner) => bound_names(&inner.pat, names),
        Pat::Reference(inner) => bound_names(&inner.pat, names),
        _ => {}
    }
}
