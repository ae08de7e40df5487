//! The table `[augment]` of a recipe.

use ziffer_dataset::augment::Distortion;

use super::toml_reader::TomlTable;
use super::toml_writer::TomlWriter;

/// Random distortions of training images, drawn anew in every epoch. 0 turns a distortion off.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AugmentSettings {
    /// Maximum rotation in degrees, uniform in both directions.
    pub rotation: f64,
    /// Maximum change of size as a share, uniform in both directions, independently for rows and columns.
    pub zoom: f64,
    /// Maximum shear as a share, uniform in both directions.
    pub shear: f64,
    /// Maximum shift in pixels, uniform in both directions, along rows and along columns.
    pub shift: f64,
    /// Standard deviation of the elastic displacement in pixels.
    pub elastic: f64,
    /// Correlation length of the elastic displacement in pixels.
    pub elastic_sigma: f64,
}

impl Default for AugmentSettings {
    /// No distortion.
    fn default() -> Self {
        Self { rotation: 0.0, zoom: 0.0, shear: 0.0, shift: 0.0, elastic: 0.0, elastic_sigma: 4.0 }
    }
}

impl AugmentSettings {
    /// Reads the table, if there is one.
    pub(super) fn read(root: &TomlTable<'_>) -> Result<Self, String> {
        let Some(table) = root.table("augment") else {
            return if root.has("augment") {
                root.refuse("augment", "a table [augment]")
            } else {
                Ok(Self::default())
            };
        };
        let mut augment = Self::default();
        let Self { rotation, zoom, shear, shift, elastic, elastic_sigma } = &mut augment;
        for (key, value, least, largest, expected) in [
            ("rotation", rotation, 0.0, 90.0, "degrees from 0 to 90"),
            ("zoom", zoom, 0.0, 0.9, "a share from 0 to 0.9"),
            ("shear", shear, 0.0, 1.0, "a share from 0 to 1"),
            ("shift", shift, 0.0, 1000.0, "pixels from 0 to 1000"),
            ("elastic", elastic, 0.0, 1000.0, "pixels from 0 to 1000"),
            ("elastic_sigma", elastic_sigma, 1.0, 500.0, "pixels from 1 to 500"),
        ] {
            let found = table.number(key, expected, |value| (least..=largest).contains(&value))?;
            *value = found.unwrap_or(*value);
        }
        table.finish()?;
        Ok(augment)
    }

    /// The distortion. `None` if all are off.
    pub fn distortion(&self) -> Option<Distortion> {
        let distortion = Distortion {
            rotation_degrees: self.rotation as f32,
            scale: self.zoom as f32,
            shear: self.shear as f32,
            shift_pixels: self.shift as f32,
            elastic_pixels: self.elastic as f32,
            // A cubic B-spline of spacing h has the standard deviation h / sqrt(3).
            elastic_spacing_pixels: (self.elastic_sigma * 3_f64.sqrt()) as f32,
        };
        (distortion.times(0.0) != distortion).then_some(distortion)
    }

    /// Writes the table.
    pub(super) fn write(&self, writer: &mut TomlWriter) {
        let Self { rotation, zoom, shear, shift, elastic, elastic_sigma } = *self;
        writer.table("augment");
        for (key, value) in [
            ("rotation", rotation),
            ("zoom", zoom),
            ("shear", shear),
            ("shift", shift),
            ("elastic", elastic),
            ("elastic_sigma", elastic_sigma),
        ] {
            writer.key(key, value);
        }
    }
}
