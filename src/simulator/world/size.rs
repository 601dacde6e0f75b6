//! The sizes of instances.

/// What an instance of a size may use. XS is inferred from the API's samples, XXS from one of 2018
/// (256 MiB, 0.125 cores); the others double.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Size {
    /// The provider's name for it.
    pub name: &'static str,
    /// Memory in MiB.
    pub mebibytes: u32,
    /// CPU in cores.
    pub cores: f64,
}

/// All sizes, smallest first.
pub const SIZES: [Size; 6] = [
    Size { name: "XXS", mebibytes: 256, cores: 0.125 },
    Size { name: "XS", mebibytes: 512, cores: 0.25 },
    Size { name: "S", mebibytes: 1024, cores: 0.5 },
    Size { name: "M", mebibytes: 2048, cores: 1.0 },
    Size { name: "L", mebibytes: 4096, cores: 2.0 },
    Size { name: "XL", mebibytes: 8192, cores: 4.0 },
];
