"""Hold the pinned packages against PyPI's database of vulnerabilities; exit code 1 if one has any.

Where the database cannot be reached, or knows none of the packages, as behind a mirror, it says so and ends with 0.
"""

import json
import subprocess
import sys

OPTIONS = ("--requirement", "constraints.txt", "--no-deps", "--disable-pip", "--format", "json")


def main() -> int:
    command = [sys.executable, "-m", "pip_audit", *OPTIONS, "--progress-spinner", "off"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    try:
        packages = json.loads(done.stdout)["dependencies"]
    except ValueError:
        packages = []
    audited = [one for one in packages if "vulns" in one]
    if not audited:
        said = [one["skip_reason"] for one in packages] or done.stderr.strip().splitlines() or ["no answer"]
        why = said[-1]
        print(f"pip-audit: skipped, no database of vulnerabilities can be reached ({why})")
        return 0
    found = [(one, vulnerability) for one in audited for vulnerability in one["vulns"]]
    for one, vulnerability in found:
        mended = ", ".join(vulnerability["fix_versions"]) or "no version yet"
        print(f"{one['name']} {one['version']}: {vulnerability['id']}, mended in {mended}")
    print(f"pip-audit: {len(audited)} of {len(packages)} pinned packages looked up, {len(found)} vulnerabilities")
    return 1 if found else 0


if __name__ == "__main__":
    raise SystemExit(main())
