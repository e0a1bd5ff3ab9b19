//! Extracts Swagger UI from the crate that contains it, and compresses the files that `/docs` needs. Also triggers a rebuild
//! when the panel changes, since the compiler does not notice added or removed files.

use std::error::Error;
use std::io::{Cursor, Write};
use std::path::Path;

use flate2::Compression;
use flate2::write::GzEncoder;
use utoipa_swagger_ui_vendored::SWAGGER_UI_VENDORED;
use zip::ZipArchive;

/// The files of Swagger UI that `/docs` loads.
const NEEDED: [&str; 2] = ["swagger-ui-bundle.js", "swagger-ui.css"];

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=../frontend/dist");
    println!("cargo::rerun-if-changed=build.rs");
    let directory = std::env::var("OUT_DIR")?;
    let mut archive = ZipArchive::new(Cursor::new(SWAGGER_UI_VENDORED))?;
    // All entries are below one directory, which is named after the version.
    let version =
        archive.by_index(0)?.enclosed_name().ok_or("the archive's first entry has no usable name")?;
    let root = version.iter().next().ok_or("the archive has no directory")?.to_owned();
    for name in NEEDED {
        let path = Path::new(&root).join("dist").join(name);
        let mut file = archive.by_name(path.to_str().ok_or("a name in the archive is not UTF-8")?)?;
        let mut compressed = GzEncoder::new(Vec::new(), Compression::best());
        std::io::copy(&mut file, &mut compressed)?;
        let mut output = std::fs::File::create(Path::new(&directory).join(format!("{name}.gz")))?;
        output.write_all(&compressed.finish()?)?;
    }
    Ok(())
}
