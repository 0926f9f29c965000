//! Builds the launcher, `crates/namespace`, into OUT_DIR, from where maturin takes it into every
//! wheel and, for `maturin develop`, into the source tree (`include` in `pyproject.toml`).
//!
//! Cargo builds no program as a dependency of a library (RFC 3028 is unstable), so cargo is called
//! anew. It gets a target directory of its own: the one in use is locked by the cargo that runs this.

use std::env;
use std::error::Error;
use std::fs;
use std::path::PathBuf;
use std::process::Command;

const LAUNCHER: &str = "holloway-namespace";

fn main() -> Result<(), Box<dyn Error>> {
    for source in ["../namespace", "../../Cargo.toml", "../../Cargo.lock"] {
        println!("cargo::rerun-if-changed={source}");
    }
    if env::var("CARGO_CFG_TARGET_OS")? != "linux" {
        return Ok(()); // namespaces are Linux's
    }
    let system = env::var("TARGET")?;
    let output = PathBuf::from(env::var("OUT_DIR")?);
    let built = output.join("target");
    let status = Command::new(env::var("CARGO")?)
        .args(["rustc", "--release", "--package", LAUNCHER])
        .args(["--target", &system, "--target-dir"])
        .arg(&built)
        // Small and without symbols, for every wheel carries it.
        .args(["--", "-C", "strip=symbols", "-C", "panic=abort"])
        .env_remove("RUSTC_WORKSPACE_WRAPPER") // `cargo clippy` has its driver there
        .status()?;
    if !status.success() {
        return Err(format!("cargo did not build {LAUNCHER}: {status}").into());
    }
    let program = built.join(system).join("release").join(LAUNCHER);
    fs::copy(program, output.join(LAUNCHER))?;
    Ok(())
}
