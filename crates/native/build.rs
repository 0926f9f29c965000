//! Builds the launcher, `crates/namespace`, into OUT_DIR. From there maturin copies it into every
//! wheel and, for `maturin develop`, into the source tree (`include` in `pyproject.toml`).
//!
//! Cargo builds no program as a dependency of a library (RFC 3028 is unstable), so this calls cargo
//! again, with another target directory: the cargo that runs this has locked its own.

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
        .args(["rustc", "--locked", "--release", "--package", LAUNCHER])
        .args(["--target", &system, "--target-dir"])
        .arg(&built)
        // Small and without symbols, because every wheel contains it.
        .args(["--", "-C", "strip=symbols", "-C", "panic=abort"])
        .env_remove("RUSTC_WORKSPACE_WRAPPER") // `cargo clippy` sets it to its driver
        .status()?;
    if !status.success() {
        return Err(format!("cargo did not build {LAUNCHER}: {status}").into());
    }
    let program = built.join(system).join("release").join(LAUNCHER);
    fs::copy(program, output.join(LAUNCHER))?;
    Ok(())
}
