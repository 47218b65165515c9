"""What a process and its machine use, under the names of OpenTelemetry's conventions."""

import os
import shutil
from collections.abc import Iterable
from pathlib import Path

import psutil
from opentelemetry import metrics
from opentelemetry.metrics import CallbackOptions, Observation


def observe_process(data_dir: Path) -> None:
    """Measure this process, its machine, and the disk that holds wump's data, whenever figures are read.

    Args:
        data_dir: Any folder on that disk; it, or one above it, exists.
    """
    meter = metrics.get_meter("wump.process")
    process = psutil.Process()
    disk = next(path for path in (data_dir, *data_dir.absolute().parents) if path.exists())
    psutil.cpu_percent()  # what is measured is the time since the call before

    def measure_cpu(_: CallbackOptions) -> Iterable[Observation]:
        used = process.cpu_times()
        yield Observation(used.user, {"cpu.mode": "user"})
        yield Observation(used.system, {"cpu.mode": "system"})

    def measure_memory(_: CallbackOptions) -> Iterable[Observation]:
        yield Observation(process.memory_info().rss)

    def measure_machine_cpu(_: CallbackOptions) -> Iterable[Observation]:
        yield Observation(psutil.cpu_percent() / 100)

    def measure_machine_memory(_: CallbackOptions) -> Iterable[Observation]:
        yield Observation(psutil.virtual_memory().percent / 100, {"system.memory.state": "used"})

    def measure_disk(_: CallbackOptions) -> Iterable[Observation]:
        usage = shutil.disk_usage(disk)
        # As the user of this process sees it: what is kept for root isn't free.
        yield Observation(usage.used / max(usage.used + usage.free, 1), {"system.filesystem.mountpoint": "data"})

    def count_files(_: CallbackOptions) -> Iterable[Observation]:
        yield Observation(len(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else process.num_fds())

    meter.create_observable_counter("process.cpu.time", [measure_cpu], "s", "Processor time that the process used.")
    meter.create_observable_up_down_counter("process.memory.usage", [measure_memory], "By", "Memory that it holds.")
    meter.create_observable_up_down_counter(
        "process.open_file_descriptor.count", [count_files], "{file_descriptor}", "Files and sockets that it has open."
    )
    meter.create_observable_gauge(
        "system.cpu.utilization", [measure_machine_cpu], "1", "Share of all processors in use."
    )
    meter.create_observable_gauge(
        "system.memory.utilization", [measure_machine_memory], "1", "Share of the machine's memory in use."
    )
    meter.create_observable_gauge(
        "system.filesystem.utilization", [measure_disk], "1", "Share in use of the disk that holds wump's data."
    )
