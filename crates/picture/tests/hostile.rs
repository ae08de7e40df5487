//! Files that are not pictures, are damaged, or have false headers are refused, with little memory.
#![allow(clippy::unwrap_used, reason = "helpers of tests are outside of what clippy.toml allows")]

mod drawing;

use std::error::Error;
use std::fs;
use std::io::Cursor;

use drawing::{page, png, png_chunk};
use image::{GrayImage, ImageFormat};
use ziffer_picture::{PictureError, prepare, prepare_file, sides};

/// A page of 40x50 pixels with a digit in each format.
fn files() -> [(&'static str, Vec<u8>); 3] {
    let image = GrayImage::from_vec(40, 50, page(40, 50)).unwrap();
    [("PNG", ImageFormat::Png), ("JPEG", ImageFormat::Jpeg), ("BMP", ImageFormat::Bmp)].map(
        |(name, format)| {
            let mut bytes = Vec::new();
            image.write_to(&mut Cursor::new(&mut bytes), format).unwrap();
            (name, bytes)
        },
    )
}

/// An error and its causes, joined by ": ".
fn chain(error: &(dyn Error + 'static)) -> String {
    let causes = std::iter::successors(Some(error), |&error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

/// The error message, after checking that it is one plain line.
fn error_line(bytes: &[u8]) -> String {
    let line = chain(&prepare(bytes, [28, 28]).expect_err("an error"));
    assert!(line.chars().all(|c| !c.is_control()) && !line.ends_with('.'), "{line:?}");
    line
}

#[test]
fn all_three_formats_give_the_same_image() {
    let [(_, png), (_, jpeg), (_, bmp)] = files();
    for file in [&png, &jpeg, &bmp] {
        assert_eq!(sides(file).unwrap(), [50, 40]);
    }
    let prepared = [png, jpeg, bmp].map(|file| prepare(&file, [28, 28]).unwrap());
    assert_eq!(prepared[0], prepared[2]);
    // Compression changes some levels, by more than a few at the outline only.
    let far = prepared[0].iter().zip(&prepared[1]).filter(|(a, b)| a.abs_diff(**b) > 30).count();
    assert!(far < 10, "{far}");
}

#[test]
fn files_cut_anywhere_are_refused() {
    for (name, bytes) in files() {
        // The end chunk of a PNG file is not necessary.
        let needed = match name {
            "PNG" => bytes.len() - 12,
            _ => bytes.len(),
        };
        for len in 0..needed {
            let line = error_line(&bytes[..len]);
            assert!(len < 8 || line.contains(name), "{name} cut to {len} of {}: {line}", bytes.len());
        }
    }
}

/// A flipped bit may change a pixel, but causes no panic and no hang.
#[test]
fn flipped_bits_do_no_harm() {
    for (_, bytes) in files() {
        for at in 0..bytes.len() {
            for flip in [0x01, 0x80, 0xFF] {
                let mut changed = bytes.clone();
                changed[at] ^= flip;
                match prepare(&changed, [28, 28]) {
                    Ok(pixels) => assert_eq!(pixels.len(), 28 * 28),
                    Err(error) => assert!(!error.to_string().contains('\n'), "{error}"),
                }
            }
        }
    }
}

/// Headers of pictures with these sides, with hardly any content.
fn headers(width: u32, height: u32) -> [Vec<u8>; 3] {
    let mut head = [width.to_be_bytes(), height.to_be_bytes()].concat();
    head.extend([8, 2, 0, 0, 0]);
    let mut png = b"\x89PNG\r\n\x1A\n".to_vec();
    png.extend(png_chunk(b"IHDR", &head));
    png.extend(png_chunk(b"IDAT", &[0x78, 0x9C, 0x03, 0, 0, 0, 0, 1]));
    png.extend(png_chunk(b"IEND", &[]));
    // File header of 14 bytes, information header of 40: sides, one plane, 24 bits, no compression.
    let mut bmp = b"BM\x3A\0\0\0\0\0\0\0\x36\0\0\0\x28\0\0\0".to_vec();
    bmp.extend([width.to_le_bytes(), height.to_le_bytes()].concat());
    bmp.extend([1, 0, 24, 0]);
    bmp.extend([0; 28]);
    // A baseline frame of three components. The sides have 16 bits.
    let [w, h] = [width, height].map(|side| u16::try_from(side).unwrap_or(u16::MAX).to_be_bytes());
    let mut jpeg = b"\xFF\xD8\xFF\xC0\0\x11\x08".to_vec();
    jpeg.extend([h, w].concat());
    jpeg.extend(b"\x03\x01\x11\0\x02\x11\0\x03\x11\0\xFF\xDA\0\x0C\x03\x01\0\x02\0\x03\0\0\x3F\0\0\xFF\xD9");
    [png, bmp, jpeg]
}

#[test]
fn headers_with_too_large_sides_are_refused() {
    let before = peak_kib();
    for (width, height) in [(16_385, 1), (1, 16_385), (16_384, 16_384), (50_000, 50_000), (65_535, 65_535)] {
        for bytes in headers(width, height) {
            let error = prepare(&bytes, [28, 28]).expect_err("too large");
            let line = error.to_string();
            assert!(matches!(error, PictureError::TooLarge { .. }), "{width}x{height}: {line}");
            assert!(line.contains("expected at most 16384 a side in 256 MiB"), "{line}");
        }
    }
    for (width, height) in [(u32::MAX, u32::MAX), (i32::MAX as u32, i32::MAX as u32), (0, 0), (0, 5)] {
        for bytes in headers(width, height).into_iter().take(2) {
            error_line(&bytes);
        }
    }
    if let (Some(before), Some(after)) = (before, peak_kib()) {
        assert!(after - before < 64 << 10, "{before} KiB, then {after} KiB");
    }
}

/// A decoder holds the coefficients of all scans, two bytes each, beside the decoded picture.
#[test]
fn progressive_jpegs_take_three_times_as_much_memory() {
    let header = |frame: u8, side: u16, components: u8| {
        let mut jpeg = vec![0xFF, 0xD8, 0xFF, frame, 0, 8 + 3 * components, 8];
        jpeg.extend([side.to_be_bytes(), side.to_be_bytes()].concat());
        jpeg.push(components);
        (1..=components).for_each(|id| jpeg.extend([id, 0x11, 0]));
        jpeg.extend([0xFF, 0xDA, 0, 6 + 2 * components, components]);
        (1..=components).for_each(|id| jpeg.extend([id, 0]));
        jpeg.extend(b"\0\x3F\0\xFF\xD9");
        jpeg
    };
    // 3 x 9459 x 9459 bytes are just below 256 MiB. With three components, a third of the pixels are.
    for (frame, side, components) in [(0xC0, 16_000, 1), (0xC2, 9459, 1), (0xC0, 9459, 3), (0xC2, 5461, 3)] {
        assert_eq!(sides(&header(frame, side, components)).unwrap(), [u32::from(side); 2]);
    }
    for (frame, side, components, takes) in [
        (0xC2, 9460, 1, "9460x9460 pixels in 257 MiB"),
        (0xC2, 16_000, 1, "16000x16000 pixels in 733 MiB"),
        (0xC2, 5462, 3, "5462x5462 pixels in 257 MiB"),
    ] {
        let line = error_line(&header(frame, side, components));
        assert!(line.contains(takes), "{line}");
    }
}

/// The peak memory of this process, on systems that report it.
fn peak_kib() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    line.split_whitespace().nth(1)?.parse().ok()
}

#[test]
fn other_kinds_of_files_are_refused() {
    for (bytes, words) in [
        (&b""[..], "empty file"),
        (b"x", "expected a picture: PNG, JPEG or BMP"),
        (b"<html>404 Not Found</html>", "another kind of file"),
        (b"GIF89a\x01\0\x01\0", "a GIF"),
        (b"RIFF\0\0\0\0WEBPVP8 ", "a WebP"),
        (b"%PDF-1.7", "a PDF"),
        (b"\0\0\x08\x03\0\0\0\0", "an IDX file"),
        (&[0; 1000], "another kind of file"),
    ] {
        let line = error_line(bytes);
        assert!(line.contains(words), "{line}");
    }
}

#[test]
fn empty_pages_are_refused() {
    for level in [0, 128, 255] {
        assert!(error_line(&png(60, 40, &[level; 2400])).contains("an empty page"));
    }
    assert!(error_line(&png(1, 1, &[0])).contains("an empty page"));
}

#[test]
fn errors_name_the_path() {
    let folder = tempfile::TempDir::new_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let error_of = |name: &str| {
        let path = folder.path().join(name);
        let error = prepare_file(&path, [28, 28]).expect_err("an error");
        assert_eq!(error.to_string(), format!("{}: cannot prepare the picture", path.display()));
        chain(error.source().expect("a cause"))
    };
    fs::write(folder.path().join("text.png"), "text").unwrap();
    assert!(error_of("text.png").contains("another kind of file"));
    fs::create_dir(folder.path().join("folder.png")).unwrap();
    assert!(error_of("folder.png").contains("a folder"));
    assert!(error_of("nowhere.png").starts_with("cannot read: No such file or directory"));
    let sparse = fs::File::create(folder.path().join("huge.bmp")).unwrap();
    sparse.set_len(65 << 20).unwrap();
    assert!(error_of("huge.bmp").contains("more than 64 MiB"));
    // The content matters, not the name.
    fs::write(folder.path().join("page.jpg"), png(40, 50, &page(40, 50))).unwrap();
    assert!(prepare_file(&folder.path().join("page.jpg"), [28, 28]).is_ok());
}

#[test]
fn too_small_and_too_large_shapes_are_refused() {
    for shape in [[0, 28], [28, 6], [1025, 28], [usize::MAX, usize::MAX]] {
        let error = prepare(&png(40, 50, &page(40, 50)), shape).expect_err("no shape for a digit");
        assert!(matches!(error, PictureError::Shape { .. }), "{error}");
    }
}
