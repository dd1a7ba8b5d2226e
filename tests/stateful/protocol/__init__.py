"""A model checker of the batch protocol: every order of steps, crashes and lost answers, within small bounds.

The protocol is the one of "How a batch lives, and what each crash leaves" in docs/architecture.md. The checker
starts from TestJobs that wait, and follows every step that some actor could take next, until no new state is
found:

    state.py       what there is: API objects, runner processes, operators, the faults that are left
    settling.py    the one form of states that are alike
    rules.py       the protocol's rules, each of which can be left out, and the bounds of a search
    decisions.py   the real code's decisions: lifecycle (TestJobs' statuses) and recovery (odd batches)
    runners.py     the steps of a runner's process
    operators.py   the steps of an operator
    cluster.py     what Kubernetes does by itself, and what goes wrong
    properties.py  what must hold in each state, and from each state
    search.py      the search itself, and the shortest way to a violation

What is left out of the model, and why that is safe, stands in each file. Two things are shared by all of it:

Time. There are no clocks. A step may be delayed for ever, except where the protocol counts on a limit: an
operator's wait for the fence time ends only after processes that can't reach their batch have stopped.

Caches. An operator's cache may be arbitrarily old. That is the same as an operator that looked long ago and
acts only now, so a look and the act that follows from it are separate steps, with anything in between.

`python -m tests.stateful.protocol --help` searches within other bounds.
"""
