import signal
import subprocess
import sys
import threading

from planner.parallel.interrupts import interrupts_ignored

ASK = "import signal; print(signal.getsignal(signal.SIGINT) == signal.SIG_IGN)"


def stated():
    return subprocess.run(
        [sys.executable, "-c", ASK], capture_output=True, text=True
    ).stdout.strip()


def test_processes_started_inside_never_see_ctrl_c():
    before = signal.getsignal(signal.SIGINT)
    with interrupts_ignored():
        assert stated() == "True"
    assert signal.getsignal(signal.SIGINT) == before
    # a process that was itself started without Ctrl-C (a shell's background job) passes that on
    assert stated() == str(before == signal.SIG_IGN)


def test_another_thread_may_ask_for_it():
    before, seen = signal.getsignal(signal.SIGINT), []

    def work():
        with interrupts_ignored():
            seen.append(signal.getsignal(signal.SIGINT))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [before]
