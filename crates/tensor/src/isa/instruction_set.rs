//! The enum of the instruction sets, and the choice of the one in use.

use std::sync::OnceLock;

/// An instruction set that the kernels are compiled for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InstructionSet {
    /// AVX-512 F, VL, BW and DQ.
    Avx512,
    /// AVX2 with FMA.
    Avx2,
    /// The instructions that every processor of the compilation target has.
    Portable,
}

impl InstructionSet {
    /// Returns the name, as in `ZIFFER_ISA`: `avx512`, `avx2` or `portable`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Avx512 => "avx512",
            Self::Avx2 => "avx2",
            Self::Portable => "portable",
        }
    }

    /// Whether this processor has the instruction set.
    pub fn is_available(self) -> bool {
        match self {
            Self::Portable => true,
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 => {
                std::is_x86_feature_detected!("avx2")
                    && std::is_x86_feature_detected!("fma")
                    && std::is_x86_feature_detected!("bmi1")
                    && std::is_x86_feature_detected!("bmi2")
                    && std::is_x86_feature_detected!("lzcnt")
                    && std::is_x86_feature_detected!("popcnt")
            }
            #[cfg(target_arch = "x86_64")]
            Self::Avx512 => {
                Self::Avx2.is_available()
                    && std::is_x86_feature_detected!("avx512f")
                    && std::is_x86_feature_detected!("avx512vl")
                    && std::is_x86_feature_detected!("avx512bw")
                    && std::is_x86_feature_detected!("avx512dq")
            }
            #[cfg(not(target_arch = "x86_64"))]
            _ => false,
        }
    }

    /// Returns the fastest instruction set that this processor has.
    pub fn best() -> Self {
        [Self::Avx512, Self::Avx2].into_iter().find(|set| set.is_available()).unwrap_or(Self::Portable)
    }

    /// Returns the instruction set in use: the one that the environment variable `ZIFFER_ISA` names, or the best if the
    /// variable is unset or empty.
    ///
    /// The first call decides for the lifetime of the process.
    ///
    /// # Panics
    /// If `ZIFFER_ISA` has an unknown value or names an instruction set that this processor lacks.
    /// [`InstructionSet::from_environment`] returns an error instead.
    pub fn current() -> Self {
        static CURRENT: OnceLock<InstructionSet> = OnceLock::new();
        *CURRENT.get_or_init(|| match Self::from_environment() {
            Ok(set) => set,
            Err(message) => panic!("{message}"),
        })
    }

    /// Returns the instruction set that `ZIFFER_ISA` names, or the best if the variable is unset or empty.
    ///
    /// # Errors
    /// A message of one line if the variable has an unknown value or names an instruction set that this processor lacks.
    pub fn from_environment() -> Result<Self, String> {
        let Some(name) = std::env::var_os("ZIFFER_ISA").filter(|name| !name.is_empty()) else {
            return Ok(Self::best());
        };
        let Some(set) =
            [Self::Avx512, Self::Avx2, Self::Portable].into_iter().find(|set| name == *set.name())
        else {
            return Err(format!("ZIFFER_ISA is {name:?}, expected avx512, avx2 or portable"));
        };
        if set.is_available() {
            Ok(set)
        } else {
            Err(format!("ZIFFER_ISA asks for {}, which this processor lacks", set.name()))
        }
    }
}
