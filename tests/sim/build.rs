//! Compiles the stand-in for the operating system's random bytes, and links it into what this crate runs.

fn main() {
    println!("cargo:rerun-if-changed=entropy.c");
    // An object, not a library: the linker takes a library's part only if something names it, and std names it weakly.
    for object in cc::Build::new().file("entropy.c").compile_intermediates() {
        println!("cargo:rustc-link-arg={}", object.display());
    }
    // Crates look the function up by its name.
    println!("cargo:rustc-link-arg=-rdynamic");
}
