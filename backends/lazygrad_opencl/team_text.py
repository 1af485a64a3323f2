"""What the threads of a team do, in OpenCL C: one function, which is told what to do.

    HELP    what a helping thread does, until it is told to stop
    POST    gives the team a list, and wakes who is asleep
    JOIN    has the caller take part until so many lists have ended
    STOP    ends all helping threads
    COPY    copies bytes: a task of lists that the device submits between others
    CYCLES  writes down the processor's count of cycles

The team's memory (*control*) is words of 8 bytes, of which those that many write lie in cache lines of their own:

    POSTED   how many lists have been posted
    TURN     the number of the list whose turn it is, times SEATS; plus how many threads are inside, or CLOSED while the
             last one that left puts everything back
    TAKEN    how many lists have no task left that nobody has taken: only who is inside has still to do with them
    ENDED    how many lists have ended: what those sleep on who wait for it
    ASLEEP   how many helping threads sleep, on POSTED
    WAITING  how many threads sleep on ENDED
    STOPPED  not 0 if helping threads shall end; behind it the number of cores, that of helping threads, and where the
             number of each core's share stands
    RING     the lists that have been posted: their address, that of their state, and their number of launches

A list's *state*: one line with the cycle at which it began, its number in the order of posts, and how often it has
ended; a line for each launch with how many of its tasks have ended, and the cycles when the first began and the last
ended; for each share a word for each launch with how many of its tasks are taken: by their own core from the front (the
lowest SHARE_BITS), by others from the end (as many again), and how often the list had ended then, so that nobody has to
put it back.
"""

from __future__ import annotations

from lazygrad_opencl.entry import KERNEL

FUNCTION = "team"
HELP, POST, JOIN, STOP, COPY, CYCLES = range(6)

# Words of a cache line, and of a launch's record in a list.
LINE = 8
RECORD = 8
# Lists that are posted and have not ended.
POSTS = 8
POSTED, TURN, TAKEN, ENDED, ASLEEP, WAITING, STOPPED, RING = (LINE * number for number in range(8))
CORES, HELPERS, SHARES = STOPPED + 1, STOPPED + 2, STOPPED + 3
CONTROL_WORDS = RING + 4 * POSTS
# Cores of the system whose share is looked up.
SYSTEM_CORES = 4096
SEATS = 4096
CLOSED = SEATS - 1
# Words of a state's first line; those before the first launch's.
BEGUN, NUMBER, RUNS = range(3)
HEAD = LINE
# Of a number of tasks, in words that count those of a share.
SHARE_BITS = 24
MOST_TASKS = (1 << SHARE_BITS) - 1
# How often who waits for a task looks before letting other threads of the system run: about 50 us.
LOOKS = 1000
# Cycles. Helping threads stay awake for so long after their last task, about 0.8 ms: waking one takes up to 0.1 ms,
# more on virtual machines, and the next step of a loop comes sooner than that.
AWAKE = 2_000_000
# About 0.4 ms: so long the last core is left to the thread that posted.
RESERVED = 1_000_000

# OpenCL C has no function pointers and no system calls, so these are written for the machine. The call is by the System
# V convention, beyond the 128 bytes that belong to the function which does not know of it. The state of arithmetic is
# what programs begin with: who joins may have set another.
_MACHINE = """\
NOT_INLINE void call_runner(ulong runner, ulong number, __global const ulong* words, ulong group) {
    __asm__ volatile(
        "movq %%rsp, %%rbx\\n leaq -128(%%rsp), %%rsp\\n andq $-64, %%rsp\\n call *%%rax\\n movq %%rbx, %%rsp"
        : "+a"(runner), "+D"(number), "+S"(words), "+d"(group)
        :
        : "rbx", "rcx", "r8", "r9", "r10", "r11", "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7",
          "xmm8", "xmm9", "xmm10", "xmm11", "xmm12", "xmm13", "xmm14", "xmm15", "memory", "cc");
}
NOT_INLINE void system_call(long number, __global ulong* word, long operation, long value) {
    __asm__ volatile("xorl %%r10d, %%r10d\\n syscall"
                     : "+a"(number) : "D"(word), "S"(operation), "d"(value) : "rcx", "r10", "r11", "memory");
}
INLINE ulong this_core() {
    uint core = 0;  // what a system that does not tell leaves
    ulong failed;
    __asm__ volatile("syscall" : "=a"(failed) : "0"(309ul), "D"(&core), "S"(0), "d"(0) : "rcx", "r11", "memory");
    return core;
}
INLINE ulong cycles() { return __builtin_readcyclecounter(); }
INLINE void let_others_run() { system_call(24, 0, 0, 0); }
INLINE void sleep_on(__global ulong* word, const uint seen) { system_call(202, word, 128, seen); }
INLINE void wake(__global ulong* word, const ulong threads) { system_call(202, word, 129, threads); }
INLINE uint arithmetic_state() { uint state; __asm__ volatile("stmxcsr %0" : "=m"(state)); return state; }
INLINE void set_arithmetic_state(const uint state) { __asm__ volatile("ldmxcsr %0" : : "m"(state)); }
#define USUAL_ARITHMETIC 0x1f80
#define LOAD(word) __atomic_load_n((word), __ATOMIC_SEQ_CST)
#define STORE(word, value) __atomic_store_n((word), (value), __ATOMIC_SEQ_CST)
#define ADD(word, value) __atomic_fetch_add((word), (value), __ATOMIC_SEQ_CST)
#define REPLACE(word, old, new) __sync_bool_compare_and_swap((word), (old), (new))
"""

_RUN = f"""\
INLINE bool is_full(__global const ulong* control, const ulong turn) {{
    const ulong inside = turn % {SEATS};
    return inside >= control[{CORES}] && inside != {CLOSED};
}}
// The next of so many tasks of a share that nobody has taken; ~0ul if there is none.
INLINE ulong take_task(__global ulong* share, const ulong run, const ulong tasks, const bool is_own) {{
    ulong seen = __atomic_load_n(share, __ATOMIC_RELAXED);
    for (;;) {{
        const ulong taken = seen >> {2 * SHARE_BITS} == run ? seen : run << {2 * SHARE_BITS};
        const ulong first = taken & {MOST_TASKS}, last = taken >> {SHARE_BITS} & {MOST_TASKS};
        if (first + last >= tasks) return ~0ul;
        const ulong more = is_own ? taken + 1 : taken + (1ul << {SHARE_BITS});
        const ulong found = __sync_val_compare_and_swap(share, seen, more);
        if (found == seen) return is_own ? first : tasks - 1 - last;
        seen = found;
    }}
}}
NOT_INLINE void run_list(
    __global ulong* control, __global const ulong* list, __global ulong* state, const ulong launches) {{
    __global ulong* const done = state + {HEAD};
    __global ulong* const shares = done + launches * {LINE};
    const ulong cores = control[{CORES}], stride = (launches + {LINE - 1}) / {LINE} * {LINE};
    const ulong own = ((__global const ulong*)control[{SHARES}])[this_core() % {SYSTEM_CORES}];
    const ulong run = state[{RUNS}] % {1 << (64 - 2 * SHARE_BITS)};
    if (!state[{BEGUN}]) state[{BEGUN}] = cycles();
    const ulong begun = state[{BEGUN}];
    ulong ended = 0, asked = begun;
    for (ulong launch = 0; launch < launches; launch++) {{
        __global const ulong* const record = list + launch * {RECORD};
        const ulong all = record[2];
        ulong ran = 0;
        for (ulong i = 0; i < cores; i++) {{
            const ulong number = (own + i) % cores;
            const ulong first = all * number / cores, tasks = all * (number + 1) / cores - first;
            for (;;) {{
                const ulong task = tasks ? take_task(shares + number * stride + launch, run, tasks, !i) : ~0ul;
                if (task == ~0ul) break;
                for (; ended < record[3]; ended++) {{
                    uint looks = 0;
                    while (__atomic_load_n(done + ended * {LINE}, __ATOMIC_ACQUIRE) < list[ended * {RECORD} + 2]) {{
                        if (++looks < {LOOKS}) __builtin_ia32_pause();
                        else let_others_run();
                    }}
                }}
                const ulong now = cycles();
                if (!ran++ && done[launch * {LINE} + 1] < begun) done[launch * {LINE} + 1] = now;
                // Nobody has come for the last seats.
                if (now - asked > {RESERVED}ul && LOAD(control + {ASLEEP})) {{
                    if (!is_full(control, LOAD(control + {TURN}))) wake(control + {POSTED}, 1);
                    asked = now;
                }}
                call_runner(record[0], record[1], list + record[4], first + task);
            }}
        }}
        if (ran && ADD(done + launch * {LINE}, ran) + ran == all) done[launch * {LINE} + 2] = cycles();
    }}
}}
"""

_TEAM = f"""\
// Whether the thread has a seat at the list whose turn it is.
INLINE bool has_entered(__global ulong* control) {{
    for (;;) {{
        const ulong turn = LOAD(control + {TURN});
        if (turn / {SEATS} == LOAD(control + {POSTED}) || turn % {SEATS} >= control[{CORES}]) return false;
        if (turn / {SEATS} < LOAD(control + {TAKEN})) return false;
        if (REPLACE(control + {TURN}, turn, turn + 1)) return true;
    }}
}}
NOT_INLINE void take_part(__global ulong* control) {{
    __global ulong* const posted = control + {RING} + LOAD(control + {TURN}) / {SEATS} % {POSTS} * 4;
    __global ulong* const state = (__global ulong*)posted[1];
    const ulong launches = posted[2];
    run_list(control, (__global const ulong*)posted[0], state, launches);
    STORE(control + {TAKEN}, state[{NUMBER}]);
    const ulong turn = __sync_sub_and_fetch(control + {TURN}, 1ul);
    // Who leaves has found no more tasks, so when nobody is inside all have ended.
    if (turn % {SEATS} || !REPLACE(control + {TURN}, turn, turn + {CLOSED})) return;
    for (ulong i = 0; i < launches; i++) state[{HEAD} + i * {LINE}] = 0;
    state[{BEGUN}] = 0;
    state[{RUNS}]++;
    STORE(control + {TURN}, turn + {SEATS});
    STORE(control + {ENDED}, turn / {SEATS} + 1);
    if (LOAD(control + {WAITING})) wake(control + {ENDED}, {SEATS});
}}
NOT_INLINE void help(__global ulong* control) {{
    ulong last = cycles(), looks = 0;
    while (!LOAD(control + {STOPPED})) {{
        if (has_entered(control)) {{
            take_part(control);
            last = cycles();
            continue;
        }}
        const ulong asleep = LOAD(control + {ASLEEP});
        // One core is left to the thread that posts.
        const bool is_wanted = control[{HELPERS}] - asleep < control[{CORES}];
        const bool may_enter = !is_full(control, LOAD(control + {TURN}));
        if (is_wanted && may_enter && cycles() - last < {AWAKE}ul) {{
            if (++looks % {LOOKS}) __builtin_ia32_pause();
            else let_others_run();
            continue;
        }}
        if (!REPLACE(control + {ASLEEP}, asleep, asleep + 1)) continue;
        const ulong posted = LOAD(control + {POSTED});
        const bool may_sleep = LOAD(control + {TAKEN}) == posted || is_full(control, LOAD(control + {TURN}));
        if (!LOAD(control + {STOPPED}) && may_sleep)
            sleep_on(control + {POSTED}, (uint)posted);
        __atomic_fetch_sub(control + {ASLEEP}, 1ul, __ATOMIC_SEQ_CST);
        last = cycles();
    }}
}}
// The Python interpreter's lock keeps posts apart. The list's number is left in its state: 0 if there was no place.
NOT_INLINE void post(
    __global ulong* control, const ulong list, const ulong address, const ulong launches, const ulong tasks) {{
    __global ulong* const state = (__global ulong*)address;
    const ulong number = LOAD(control + {POSTED});
    state[{NUMBER}] = 0;
    if (number - LOAD(control + {TURN}) / {SEATS} >= {POSTS}) return;
    __global ulong* const posted = control + {RING} + number % {POSTS} * 4;
    posted[0] = list;
    posted[1] = address;
    posted[2] = launches;
    state[{NUMBER}] = number + 1;
    STORE(control + {POSTED}, number + 1);
    // The last core is the poster's: it goes on with Python there, and comes to help when it has to wait.
    const ulong most = tasks < control[{CORES}] ? tasks : control[{CORES}];
    const ulong wanted = most > 1 ? most - 1 : 1;
    const ulong awake = control[{HELPERS}] - LOAD(control + {ASLEEP});
    if (wanted > awake) wake(control + {POSTED}, wanted - awake);
}}
NOT_INLINE void join(__global ulong* control, const ulong number) {{
    const uint before = arithmetic_state();
    set_arithmetic_state(USUAL_ARITHMETIC);
    uint looks = 0;
    while (LOAD(control + {ENDED}) < number) {{
        if (has_entered(control)) take_part(control);
        else if (++looks % {LOOKS}) __builtin_ia32_pause();
        else {{
            ADD(control + {WAITING}, 1ul);
            const ulong ended = LOAD(control + {ENDED});
            if (ended < number) sleep_on(control + {ENDED}, (uint)ended);
            __atomic_fetch_sub(control + {WAITING}, 1ul, __ATOMIC_SEQ_CST);
        }}
    }}
    set_arithmetic_state(before);
}}
"""

SOURCE = f"""{_MACHINE}{_RUN}{_TEAM}\
{KERNEL}{FUNCTION}(
    __global ulong* control, const ulong command, const ulong a, const ulong b, const ulong c, const ulong d) {{
    if (!control) return;
    switch (command) {{
        case {HELP}: help(control); return;
        case {POST}: post(control, a, b, c, d); return;
        case {JOIN}: join(control, a); return;
        case {STOP}: STORE(control + {STOPPED}, 1ul); wake(control + {POSTED}, {SEATS}); return;
        case {CYCLES}: *(__global ulong*)a = cycles(); return;
        case {COPY}: {{
            __global uchar* const to = (__global uchar*)a;
            __global const uchar* const from = (__global const uchar*)b;
            for (ulong i = 0; i < c; i++) to[i] = from[i];
        }}
    }}
}}
"""
