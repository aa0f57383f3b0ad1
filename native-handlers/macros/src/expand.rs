//! The code around a handler: an entry for the registry and the function that reads the arguments. Its items would clash with
//! what they refer to (a handler may be called `describe`), hence their names.

use proc_macro2::TokenStream;
use quote::{format_ident, quote, quote_spanned};
use syn::spanned::Spanned;
use syn::{Attribute, Expr, ExprLit, Ident, ItemFn, Lit, Meta, Result, ReturnType};

use crate::options::Options;
use crate::signature::{check, Argument};

/// The function, and what makes it a handler; on a mistake, the function and the error.
pub(crate) fn expand(options: TokenStream, function: TokenStream) -> TokenStream {
    match handler(options, &function) {
        Ok(handler) => quote! { #function #handler },
        Err(error) => {
            let error = error.to_compile_error();
            // The function stays, so that the error is the only one.
            quote! { #function #error }
        }
    }
}

fn handler(options: TokenStream, function: &TokenStream) -> Result<TokenStream> {
    let function: ItemFn = syn::parse2(function.clone()).map_err(|error| {
        syn::Error::new(
            error.span(),
            "`#[native_handler]` goes on a function: `#[native_handler] fn name(...) -> ... { ... }`",
        )
    })?;
    let options: Options = syn::parse2(options)?;
    let arguments = check(&function, &options)?;
    let ident = &function.sig.ident;
    let name = match &options.name {
        Some(name) => name.value(),
        None => ident.to_string().trim_start_matches("r#").to_owned(),
    };
    let doc = doc_of(&function.attrs);
    let response = match &function.sig.output {
        ReturnType::Default => quote! { () },
        ReturnType::Type(_, ty) => quote! { #ty },
    };
    let response_span = match &function.sig.output {
        ReturnType::Default => function.sig.ident.span(),
        ReturnType::Type(_, ty) => ty.span(),
    };
    // Spanned, so that a type that is no response is reported where it is written.
    let respond = quote_spanned! {response_span=>
        __bimetal::IntoResponse::into_response(value, response)
    };
    let set_status = options.status.map(|status| quote! { response.set_status(#status); });
    let content_type = &options.content_type;
    let set_content_type = content_type.as_ref().map(|text| quote! { response.set_content_type(#text); });
    let content_type_of_async = content_type.as_ref().map(|text| {
        quote! { const CONTENT_TYPE: ::core::option::Option<&'static str> = ::core::option::Option::Some(#text); }
    });
    let status_of_async = options.status.map(|status| {
        quote! { const STATUS: ::core::option::Option<u16> = ::core::option::Option::Some(#status); }
    });
    let describe = describe(&arguments, &function.sig.output, &options);
    let is_async = function.sig.asyncness.is_some();
    let body = body(ident, &arguments, is_async);
    let implementation = if is_async {
        quote! {
            impl __bimetal::AsyncHandler for __BimetalHandler {
                type Response = #response;
                #status_of_async
                #content_type_of_async

                async fn start<'r>(
                    __bimetal_request: __bimetal::Request<'r>,
                    __bimetal_slots: &'r [__bimetal::Slot],
                ) -> __bimetal::Outcome<#response> {
                    #body
                }
            }
        }
    } else {
        quote! {
            impl __bimetal::SyncHandler for __BimetalHandler {
                fn call(
                    __bimetal_request: __bimetal::Request<'_>,
                    __bimetal_slots: &[__bimetal::Slot],
                    response: &mut __bimetal::ResponseWriter<'_>,
                ) {
                    let __bimetal_outcome: __bimetal::Outcome<#response> = { #body };
                    match __bimetal_outcome {
                        ::core::result::Result::Ok(value) => {
                            #set_status
                            #set_content_type
                            #respond
                        }
                        ::core::result::Result::Err(rejections) => __bimetal::reject(rejections, response),
                    }
                }
            }
        }
    };
    let call = match (is_async, options.blocking.is_some()) {
        (true, _) => quote! {
            __bimetal::HandlerCall::Async(__bimetal::start::<__BimetalHandler>, __bimetal::future_layout::<__BimetalHandler>)
        },
        (false, true) => {
            quote! { __bimetal::HandlerCall::Blocking(__bimetal::call_blocking::<__BimetalHandler>) }
        }
        (false, false) => quote! { __bimetal::HandlerCall::Sync(__bimetal::call::<__BimetalHandler>) },
    };
    Ok(quote! {
        #[allow(clippy::all, clippy::pedantic, unused_qualifications, unused_variables)]
        const _: () = {
            use ::bimetal::__private as __bimetal;

            struct __BimetalHandler;

            #implementation

            #describe

            __bimetal::inventory::submit! {
                __bimetal::HandlerEntry {
                    module: ::core::module_path!(),
                    name: #name,
                    doc: #doc,
                    call: #call,
                    describe: __bimetal_describe,
                }
            }
        };
    })
}

/// The function that describes arguments and response. Types are checked at their own place in the source.
fn describe(arguments: &[Argument], output: &ReturnType, options: &Options) -> TokenStream {
    let slots = arguments.iter().map(|argument| {
        let ty = &argument.ty;
        let names = argument.names.iter().map(|name| name.to_string().trim_start_matches("r#").to_owned());
        quote_spanned! {ty.span()=>
            <#ty as __bimetal::FromRequest<'_>>::describe(&__bimetal::Argument { names: &[#(#names),*] }, operation)
        }
    });
    let response = match output {
        ReturnType::Default => quote! {},
        ReturnType::Type(_, ty) => quote_spanned! {ty.span()=>
            <#ty as __bimetal::IntoResponse>::describe(operation);
        },
    };
    let content_type = options.content_type.as_ref().map(|text| quote! { operation.content_type(#text); });
    let status = options.status.map(|status| quote! { operation.status(#status); });
    quote! {
        fn __bimetal_describe(operation: &mut __bimetal::Operation) -> ::std::vec::Vec<__bimetal::Slot> {
            let slots = ::std::vec![#(#slots),*];
            #response
            #content_type
            #status
            slots
        }
    }
}

/// Reads every argument before it gives up, so that all that is wrong is told at once; then calls the function.
fn body(ident: &Ident, arguments: &[Argument], is_async: bool) -> TokenStream {
    let wait = is_async.then(|| quote! { .await });
    let values: Vec<Ident> =
        (0..arguments.len()).map(|index| format_ident!("__bimetal_argument_{index}")).collect();
    let reads = arguments.iter().zip(&values).enumerate().map(|(index, (argument, value))| {
        let ty = &argument.ty;
        quote_spanned! {ty.span()=>
            let #value = <#ty as __bimetal::FromRequest<'_>>::from_request(__bimetal_request, &__bimetal_slots[#index]);
        }
    });
    quote! {
        #(#reads)*
        match (#(#values,)*) {
            (#(::core::result::Result::Ok(#values),)*) => ::core::result::Result::Ok(#ident(#(#values),*) #wait),
            #[allow(unreachable_patterns)]
            (#(#values,)*) => ::core::result::Result::Err(::std::vec![#(#values.err()),*]),
        }
    }
}

fn doc_of(attributes: &[Attribute]) -> String {
    let lines = attributes.iter().filter_map(|attribute| match &attribute.meta {
        Meta::NameValue(pair) if pair.path.is_ident("doc") => match &pair.value {
            Expr::Lit(ExprLit { lit: Lit::Str(text), .. }) => Some(text.value()),
            _ => None,
        },
        _ => None,
    });
    lines.collect::<Vec<_>>().join("\n")
}
