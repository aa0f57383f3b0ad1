//! Takes the sources of the crates that plugins are built with into the extension, for `bimetal plugin new`: whoever has the
//! package has the SDK that belongs to it. Also tells the extension what Python it is built for.

use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::{env, fs, io};

/// The SDK and what it depends on in this workspace.
const CRATES: [&str; 3] = ["native-handlers/abi", "native-handlers/macros", "native-handlers/sdk"];
/// What a crate is without its tests.
const PARTS: [&str; 4] = ["Cargo.toml", "build.rs", "bimetal.h", "src"];

fn main() -> io::Result<()> {
    println!("cargo::rerun-if-changed=build.rs");
    // `Py_GIL_DISABLED` and the versions of Python, as pyo3 has them.
    pyo3_build_config::use_pyo3_cfgs();
    let here = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").expect("cargo sets it"));
    let root = here.parent().expect("the crate is a folder of the workspace");
    let mut files = Vec::new();
    for shared in ["Cargo.toml", "LICENSE-MIT", "LICENSE-APACHE"] {
        collect(&root.join(shared), &mut files)?;
    }
    for part in CRATES.iter().flat_map(|folder| PARTS.map(|part| format!("{folder}/{part}"))) {
        collect(&root.join(part), &mut files)?;
    }
    files.sort();
    let mut table = String::from("pub(crate) static FILES: &[(&str, &str)] = &[\n");
    for file in files {
        let name = file.strip_prefix(root).expect("it was found there").display();
        let path = file.display().to_string();
        writeln!(table, "    ({:?}, include_str!({path:?})),", name.to_string())
            .expect("a text takes everything");
    }
    table.push_str("];\n");
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets it"));
    fs::write(out.join("sdk_files.rs"), table)
}

/// Adds a file, or all files below a folder; one that is not there adds nothing.
fn collect(path: &Path, files: &mut Vec<PathBuf>) -> io::Result<()> {
    if path.is_dir() {
        println!("cargo::rerun-if-changed={}", path.display());
        for entry in fs::read_dir(path)? {
            collect(&entry?.path(), files)?;
        }
    } else if path.is_file() {
        println!("cargo::rerun-if-changed={}", path.display());
        files.push(path.to_owned());
    }
    Ok(())
}
