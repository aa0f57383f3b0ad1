//! Whether bytes are a whole ELF shared library for this machine: what the system's loader would find out, or crash on.

/// `e_machine` of the machine this was built for; 0 where it is not known, and then not checked.
const MACHINE: u16 = if cfg!(target_arch = "x86_64") {
    62
} else if cfg!(target_arch = "aarch64") {
    183
} else if cfg!(target_arch = "riscv64") {
    243
} else if cfg!(target_arch = "x86") {
    3
} else if cfg!(target_arch = "arm") {
    40
} else {
    0
};

const ET_DYN: u16 = 3;
const PT_LOAD: u32 = 1;

/// Says what is wrong and what to do, if anything is.
pub(super) fn check(bytes: &[u8]) -> Result<(), String> {
    if bytes.is_empty() {
        return Err("the file is empty; build the plugin again".into());
    }
    if !bytes.starts_with(b"\x7fELF") {
        return Err("not a shared library (no ELF header); give the path of the built library, like `target/release/libhot.so`"
            .into());
    }
    let class: u8 = if cfg!(target_pointer_width = "64") { 2 } else { 1 };
    let data: u8 = if cfg!(target_endian = "little") { 1 } else { 2 };
    let truncated = || "the file is cut short; copy or build it again".to_owned();
    let (&found_class, &found_data) =
        (bytes.get(4).ok_or_else(truncated)?, bytes.get(5).ok_or_else(truncated)?);
    if found_class != class || found_data != data {
        return Err(wrong_machine("another word size or byte order"));
    }
    let elf = Elf { bytes, wide: class == 2 };
    let machine = elf.half(18).ok_or_else(truncated)?;
    if MACHINE != 0 && machine != MACHINE {
        return Err(wrong_machine(&format!("ELF machine {machine}, this is {MACHINE}")));
    }
    if elf.half(16).ok_or_else(truncated)? != ET_DYN {
        return Err(
            "not a shared library (it is an object file or a program); set `crate-type = [\"cdylib\"]`"
                .into(),
        );
    }
    elf.is_whole().filter(|whole| *whole).map(|_| ()).ok_or_else(truncated)
}

fn wrong_machine(what: &str) -> String {
    format!("built for another machine ({what}); build it for {}", std::env::consts::ARCH)
}

/// Reads fields of an ELF file in this machine's byte order.
struct Elf<'a> {
    bytes: &'a [u8],
    wide: bool,
}

impl Elf<'_> {
    fn half(&self, at: usize) -> Option<u16> {
        Some(u16::from_ne_bytes(self.bytes.get(at..at.checked_add(2)?)?.try_into().ok()?))
    }

    fn word(&self, at: usize) -> Option<u32> {
        Some(u32::from_ne_bytes(self.bytes.get(at..at.checked_add(4)?)?.try_into().ok()?))
    }

    /// An address or offset: 4 or 8 bytes by the file's class.
    fn address(&self, at: usize) -> Option<usize> {
        if !self.wide {
            return usize::try_from(self.word(at)?).ok();
        }
        let wide = u64::from_ne_bytes(self.bytes.get(at..at.checked_add(8)?)?.try_into().ok()?);
        usize::try_from(wide).ok()
    }

    /// Whether both header tables and every loaded segment lie within the file. Nothing where a header cannot be read.
    fn is_whole(&self) -> Option<bool> {
        let (phoff, shoff, sizes) = if self.wide {
            (self.address(32)?, self.address(40)?, 54)
        } else {
            (self.address(28)?, self.address(32)?, 42)
        };
        let (phentsize, phnum) = (usize::from(self.half(sizes)?), usize::from(self.half(sizes + 2)?));
        let (shentsize, shnum) = (usize::from(self.half(sizes + 4)?), usize::from(self.half(sizes + 6)?));
        let within = |offset: usize, length: usize| {
            offset.checked_add(length).is_some_and(|end| end <= self.bytes.len())
        };
        if !within(phoff, phentsize * phnum) || !within(shoff, shentsize * shnum) {
            return Some(false);
        }
        for index in 0..phnum {
            let header = phoff + index * phentsize;
            if self.word(header)? != PT_LOAD {
                continue;
            }
            let (offset, size) =
                if self.wide { (header + 8, header + 32) } else { (header + 4, header + 16) };
            if !within(self.address(offset)?, self.address(size)?) {
                return Some(false);
            }
        }
        Some(true)
    }
}

#[cfg(test)]
mod tests {
    use super::check;

    #[test]
    fn every_truncation_of_a_real_library_is_refused() {
        let program = std::fs::read("/proc/self/exe").unwrap();
        check(&program).expect("a test program is position independent, which is what a shared library is");
        // Section headers come last, so every proper prefix lacks something.
        for length in [1, 4, 5, 16, 17, 20, 63, 64, 200, program.len() / 2, program.len() - 1] {
            let error = check(&program[..length]).unwrap_err();
            let known =
                error.starts_with("the file is cut short") || (length < 4 && error.contains("no ELF header"));
            assert!(known, "{length}: {error}");
        }
    }

    #[test]
    fn another_kind_of_file_is_named() {
        let mut program = std::fs::read("/proc/self/exe").unwrap();
        program.truncate(64);
        let with = |at: usize, value: u8| {
            let mut bytes = program.clone();
            bytes[at] = value;
            check(&bytes).unwrap_err()
        };
        assert!(with(4, 7).starts_with("built for another machine (another word size"), "{}", with(4, 7));
        assert!(with(18, 9).starts_with("built for another machine (ELF machine"), "{}", with(18, 9));
        assert!(with(16, 1).starts_with("not a shared library (it is an object file"), "{}", with(16, 1));
        assert!(check(b"").unwrap_err().starts_with("the file is empty"));
        assert!(check(b"#!/bin/sh\n").unwrap_err().starts_with("not a shared library (no ELF header)"));
    }
}
