"""Captions a share of a list on a Ray cluster: actors with a loaded model each.

Ray starts actors, brings them their tasks and tells of their end; what they do, and what is done
when one is lost, is capgen's own schedule.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Generator, Iterable
from dataclasses import replace

from capgen.captioning.captioner import Captioner
from capgen.config import EngineOptions
from capgen.distributed.caption_on_workers import caption_on_workers
from capgen.distributed.caption_share import ShareFinished, ShareJob
from capgen.distributed.jobs import Policy
from capgen.distributed.part_worker import WorkerJob
from capgen.distributed.plan import Unit
from capgen.distributed.ray_cluster import connected, sizes_of_actors
from capgen.distributed.ray_pool import RayPool
from capgen.distributed.schedule_events import ScheduleEvent

logger = logging.getLogger(__name__)


def caption_with_ray(
    load: Callable[[int], Captioner],
    units: Iterable[Unit],
    job: ShareJob,
    options: EngineOptions,
    *,
    on_gpus: bool = True,
    served: bool = False,
) -> Generator[ScheduleEvent | ShareFinished, None, None]:
    """Caption a share of a list on a Ray cluster; parts that are there are passed over.

    Args:
        load: Loads the captioner with so many threads, in each actor; it must be possible to
            pickle it.
        units: The whole list.
        job: What to do.
        options: The cluster, and how many actors of which size.
        on_gpus: Whether the model can use GPUs.
        served: Whether it is on a server: one actor asks for as much as that is to do.

    Yields:
        Events as `caption_on_workers` does.

    Raises:
        MissingDependencyError: Ray is not installed.
        NetworkError: The cluster cannot be reached.
        CapgenError: As `caption_on_workers`.
    """
    least, most = options.actor_range
    if served and options.actors is None:
        most = 1
    with connected(options) as ray:
        cpus, gpus = sizes_of_actors(ray, options, on_gpus)
        logger.info("actors with %d cores and %g GPUs", cpus, gpus)
        run = replace(job.run, batch=replace(job.run.batch, journal=None))
        worker_job = WorkerJob(load=load, format=job.format, run=run, cores=cpus)
        pool = RayPool(ray, worker_job, cpus=cpus, gpus=gpus)
        try:
            yield from caption_on_workers(units, job, pool, Policy(least=least, most=most))
        finally:
            pool.close()
