"""What the other processes of a run do while rank 0 trains it: their share of whatever it says."""

from kerasrun.engine.job import Job
from kerasrun.training.computation import Batches, Computation
from kerasrun.training.stopping.signals import StopRequest
from kerasrun.workers import channel
from kerasrun.workers.team import Order


def follow(job: Job) -> int:
    """Do what rank 0 says until the run is at its end; return the exit code that it says.

    Raises:
        KerasrunError: if this process cannot do its share.
    """
    computation = Computation(job)
    batches: Batches | None = None
    with StopRequest() as stop:
        job.team.stop = stop
        while True:
            order, first, second = job.team.next_order()
            match order:
                case Order.END:
                    channel.tell(phase="ending")
                    return int(first)
                case Order.SHARE_STATE:
                    computation.share_state()
                case Order.CHECK_STATE:
                    computation.check_state(int(first))
                case Order.CHECK_DATA:
                    job.team.require_same_data(job.data.fingerprint)
                case Order.ENTER_STAGE:
                    computation.enter_stage(int(first), int(second))
                case Order.KEEP_FROZEN_PART:
                    computation.restore_frozen_state({"kept": bool(first), "budget": int(second)})
                case Order.COMPUTE_FROZEN_PART:
                    computation.compute_frozen_part(lambda: False)
                case Order.MAKE_BATCHES:
                    batches = computation.batches(int(first))
                case Order.BEGIN_EPOCH:
                    computation.begin_epoch()
                case Order.TRAIN:
                    assert batches is not None
                    computation.train(batches, int(first))
                    channel.tell(step=job.team.step)
                case Order.EVALUATE:
                    computation.validate()
