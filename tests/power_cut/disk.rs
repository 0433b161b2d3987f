//! A file system in a file, which can lose its power.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// Room for four rounds.
const IMAGE_SIZE: u64 = 1024 * 1024 * 1024;
/// `EXT4_IOC_SHUTDOWN` with `EXT4_GOING_FLAGS_NOLOGFLUSH`: nothing more reaches the disk.
const SHUT_DOWN: &str = "import fcntl, os, struct, sys
fcntl.ioctl(os.open(sys.argv[1], os.O_RDONLY), 0x8004587D, struct.pack('I', 2))";

pub struct Disk {
    image: PathBuf,
    mount: PathBuf,
    store: PathBuf,
    _folder: tempfile::TempDir,
}

impl Disk {
    /// A new, empty, mounted file system.
    pub fn new() -> Result<Self, String> {
        let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
        let (image, mount) = (folder.path().join("image"), folder.path().join("mount"));
        let make = || {
            fs::create_dir(&mount)?;
            File::create(&image)?.set_len(IMAGE_SIZE)
        };
        make().map_err(|error| error.to_string())?;
        run(Command::new("mkfs.ext4").args(["-q", "-F"]).arg(&image))?;
        let store = mount.join("store");
        let disk = Self { image, mount, store, _folder: folder };
        disk.mount()?;
        Ok(disk)
    }

    /// Where the writer works.
    pub fn folder(&self) -> &Path {
        &self.store
    }

    fn mount(&self) -> Result<(), String> {
        run(Command::new("mount").args(["-o", "loop"]).arg(&self.image).arg(&self.mount))
    }

    /// Cuts the power.
    pub fn shut_down(&self) -> Result<(), String> {
        run(Command::new("python3").args(["-c", SHUT_DOWN]).arg(&self.mount))
    }

    /// What the next start finds.
    pub fn remount(&self) -> Result<(), String> {
        self.unmount()?;
        self.mount()
    }

    fn unmount(&self) -> Result<(), String> {
        let mut outcome = Ok(());
        for _ in 0..50 {
            outcome = run(Command::new("umount").arg(&self.mount));
            if outcome.is_ok() {
                break;
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        outcome
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        if let Err(error) = self.unmount() {
            eprintln!("power_cut: {} stays mounted: {error}", self.mount.display());
        }
    }
}

fn run(command: &mut Command) -> Result<(), String> {
    let name = command.get_program().to_string_lossy().into_owned();
    let output = command.output().map_err(|error| format!("{name}: {error}"))?;
    if output.status.success() {
        return Ok(());
    }
    Err(format!("{name}: {}", String::from_utf8_lossy(&output.stderr).trim()))
}
