//! Figures of this process, under the names that Prometheus' client libraries have for them.

use std::fs;
use std::time::{SystemTime, UNIX_EPOCH};

use super::exposition::single;

/// What `/proc` counts times in, to programs, on every Linux that this builds for.
const TICKS_PER_SECOND: f64 = 100.0;

/// The figures as text; none of those that the system does not tell.
pub fn process(text: &mut String) {
    let mut gauge = |name, help, value: Option<f64>| {
        if let Some(value) = value {
            single(text, name, "gauge", help, value);
        }
    };
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let memory = |field| bytes(&status, field).map(|bytes| bytes as f64);
    gauge("process_resident_memory_bytes", "Memory in use.", memory("VmRSS:"));
    gauge("process_virtual_memory_bytes", "Memory mapped.", memory("VmSize:"));
    let threads = status.lines().find_map(|line| line.strip_prefix("Threads:")?.trim().parse().ok());
    gauge("process_threads", "Threads.", threads);
    // One of them is the folder itself, while it is read.
    let open = fs::read_dir("/proc/self/fd").ok().map(|entries| entries.count().saturating_sub(1) as f64);
    gauge("process_open_fds", "Descriptors open.", open);
    gauge("process_max_fds", "Descriptors that may be open.", max_descriptors());
    let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
    // The second field, the program's name, may hold anything; the third follows its last parenthesis.
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let ticks = |number: usize| fields.get(number - 3)?.parse::<f64>().ok().map(|n| n / TICKS_PER_SECOND);
    gauge("process_start_time_seconds", "When it was started, since 1970.", started(ticks(22)));
    if let (Some(user), Some(system)) = (ticks(14), ticks(15)) {
        let help = "Time of processors.";
        single(text, "process_cpu_seconds_total", "counter", help, user + system);
    }
}

/// The memory in use of any process, if the system tells.
pub(crate) fn resident(pid: u32) -> Option<u64> {
    bytes(&fs::read_to_string(format!("/proc/{pid}/status")).ok()?, "VmRSS:")
}

fn bytes(status: &str, field: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix(field))?;
    Some(line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()? * 1024)
}

fn max_descriptors() -> Option<f64> {
    let limits = fs::read_to_string("/proc/self/limits").ok()?;
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"))?;
    line.split_whitespace().next()?.parse().ok()
}

/// From the seconds between the start of the machine and that of the process.
fn started(since_boot: Option<f64>) -> Option<f64> {
    let uptime: f64 = fs::read_to_string("/proc/uptime").ok()?.split_whitespace().next()?.parse().ok()?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).ok()?.as_secs_f64();
    // To a second: it has to be the same each time.
    Some((now - uptime + since_boot?).round())
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::process;

    #[test]
    fn a_process_knows_itself() {
        let mut text = String::new();
        process(&mut text);
        let value = |name: &str| -> f64 {
            let line = text.lines().find_map(|line| line.strip_prefix(name)).expect(name);
            line.trim().parse().unwrap()
        };
        assert!(value("process_resident_memory_bytes ") > 100_000.0);
        assert!(value("process_virtual_memory_bytes ") >= value("process_resident_memory_bytes "));
        assert!(value("process_open_fds ") >= 3.0 && value("process_open_fds ") < value("process_max_fds "));
        assert!(value("process_threads ") >= 1.0);
        assert!(value("process_cpu_seconds_total ") >= 0.0);
        assert!(value("process_start_time_seconds ") > 1.6e9);
    }
}
