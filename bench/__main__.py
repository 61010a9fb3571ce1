"""Measure all that has a target, but files of a billion polls; or the sections that are named.

    python -m bench [SECTION …] [--busy]

Without a name it takes less than 20 minutes and 5 GB of disk. Each module measures its own sections, too:
``python -m bench.kernel``.
"""

from bench import (
    against,
    databases,
    fleet_page,
    groups,
    kernel,
    large_files,
    load,
    memory,
    report,
    schedules,
    service,
    sizes,
)
from bench.results import Section, main

#: Sections that are measured only by name: they have no target, or need more time or disk.
_ON_REQUEST = {"files, 991 M", "kernel at scale", "views", *databases.SECTIONS, *service.SECTIONS} - {"polling"}

SECTIONS: dict[str, Section] = {
    name: section
    for module in (
        report, against, load, kernel, large_files, schedules, groups, fleet_page, service, memory, sizes, databases,
    )
    for name, section in module.SECTIONS.items()
}  # fmt: skip

if __name__ == "__main__":
    main(SECTIONS, __doc__, on_request=_ON_REQUEST)
