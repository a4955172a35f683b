"""Which rows are about what can be seen of the machine, and how much of it can be used up?"""

from escape.host_side import has_capability, survivor
from escape.household import API_KEY, NOBODY, ROOT
from escape.rows import Row

VARIABLES = [
    "PATH", "HOME", "TMPDIR", "LANG", "LC_ALL", "USER", "LOGNAME", "TZ", "PWD", "ORCHESTRAL", "ORCHESTRAL_ACTION",
    "ORCHESTRAL_EXECUTION_ID", "ORCHESTRAL_IDEMPOTENCY_KEY", "ORCHESTRAL_RESULT", "ORCHESTRAL_SCRATCH",
    "ORCHESTRAL_WORKSPACE",
]  # fmt: skip
LIMITED = ["RLIMIT_NOFILE", "RLIMIT_FSIZE", "RLIMIT_AS", "RLIMIT_CPU", "RLIMIT_MEMLOCK"]
NOT_OURS = {NOBODY: "the kernel refuses it to everybody without a capability"}

CAP_SYS_RESOURCE = 24
NOT_EVEN_ROOT = {} if has_capability(CAP_SYS_RESOURCE) else {ROOT: "the suite's root has no CAP_SYS_RESOURCE"}

ROWS = [
    Row(number="3", title="read the environment", attempt="own_environment", args={"allowed": VARIABLES},
        removed="environment"),
    Row(number="4", title="read the environment of the first process", attempt="environment_of_first_process",
        args={"needle": API_KEY}, removed="start-environment"),
    Row(number="5", title="read paths from the first process's command line", attempt="command_line_of_first_process",
        args={"needles": ["{workspace}", "{state}", "{plugins}"]}, removed="args-fd"),
    Row(number="19", title="see and signal the daemon", attempt="process", args={"pid": "{pid}"},
        removed="pid-namespace"),
    Row(number="21", title="use descriptors of the daemon", attempt="own_descriptors", removed="descriptors"),
    Row(number="24", title="fork without end", attempt="fork_bomb", grant="burglar-small", args={"limit": 120},
        removed="limits"),
    Row(number="25", title="take all address space", attempt="address_space", args={"size_mib": 8192},
        removed="limits"),
    Row(number="25b", title="use up the processor", attempt="burn", grant="burglar-small", args={"seconds": 2.5},
        held=("killed:SIGXCPU",), removed="limits"),
    Row(number="26", title="take memory by many children", attempt="memory_by_children", grant="burglar-small",
        args={"count": 8, "each_mib": 60}, held=("succeeded", "killed:SIGKILL"), removed="limits"),
    Row(number="27", title="fill the temporary folders", attempt="fill",
        args={"folders": ["/tmp", "/dev/shm", "/var/tmp"], "size_mib": 100}, removed="sizes"),
    Row(number="28", title="write one huge file", attempt="large_file", grant="burglar-write",
        args={"path": "big", "size_mib": 300}, removed="limits"),
    Row(number="28b", title="fill the workspace with files below the limit", attempt="grow_workspace",
        grant="burglar-small", args={"folder": "many", "files": 20, "size_kib": 4096}, held=("disk_growth",),
        removed="limits"),
    Row(number="28c", title="fill the workspace with names", attempt="grow_workspace", grant="burglar-small",
        args={"folder": "many", "files": 1500, "size_kib": 0}, held=("disk_growth",), removed="limits"),
    Row(number="28d", title="fill the disk by the scratch folder", attempt="grow_workspace", grant="burglar-small",
        args={"folder": "$ORCHESTRAL_SCRATCH/many", "files": 20, "size_kib": 4096}, held=("disk_growth",),
        removed="limits"),
    Row(number="29", title="leave a process in a session of its own", attempt="orphan", args={"marker": "{marker}"},
        seen=survivor, removed="die-with-parent"),
    Row(number="29b", title="leave one that holds stdout", attempt="orphan_with_stdout", args={"marker": "{marker}"},
        seen=survivor, removed="die-with-parent"),
    Row(number="52c", title="find shared memory by its key", attempt="shared_memory_segment",
        args={"key": "{shm_key}"}, removed="ipc-namespace"),
    Row(number="55", title="have its memory dumped", attempt="dump_core", removed="core"),
    Row(number="56", title="raise its own limits", attempt="raise_limits", args={"names": LIMITED}, removed="sandbox",
        unprovable={**NOT_OURS, **NOT_EVEN_ROOT}),
    Row(number="56b", title="raise its own priority", attempt="raise_priority", removed="sandbox",
        unprovable=NOT_OURS),
    Row(number="56c", title="open more files than it may", attempt="open_many", args={"count": 600},
        removed="limits"),
    Row(number="57", title="end or stop the first process", attempt="end_first_process", removed="pid-namespace",
        unprovable={NOBODY: "the machine's first process is root's"}),
    Row(number="58", title="use the daemon's terminal", attempt="terminal", removed="session new-session"),
]  # fmt: skip
