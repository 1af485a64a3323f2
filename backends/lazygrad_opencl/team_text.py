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
    ENDED    how many lists have ended: what those sleep on who wait for it
    ASLEEP   how many helping threads sleep, on POSTED
    WAITING  how many threads sleep on ENDED
    STOPPED  not 0 if helping threads shall end; behind it the number of cores and of helping threads
    RING     the lists that have been posted: their address, that of their state, and their number of launches

A list's *state*: one line with the next ticket, the cycle at which it began, and its number in the order of posts;
then a line for each launch with how many of its tasks have ended, and the cycles at which the first began and the last
ended.
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
POSTED, TURN, ENDED, ASLEEP, WAITING, STOPPED, RING = (LINE * number for number in range(7))
CORES, HELPERS = STOPPED + 1, STOPPED + 2
CONTROL_WORDS = RING + 4 * POSTS
SEATS = 4096
CLOSED = SEATS - 1
# Words of a state's first line; those before the first launch's.
TICKET, BEGUN, NUMBER = range(3)
HEAD = LINE
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
NOT_INLINE void run_list(
    __global ulong* control, __global const ulong* list, __global ulong* state, const ulong launches) {{
    __global ulong* const done = state + {HEAD};
    if (!state[{BEGUN}]) state[{BEGUN}] = cycles();
    const ulong begun = state[{BEGUN}];
    ulong launch = 0, ended = 0, asked = begun;
    for (;;) {{
        const ulong ticket = ADD(state + {TICKET}, 1ul);
        while (launch < launches && ticket >= list[launch * {RECORD} + 3] + list[launch * {RECORD} + 2]) launch++;
        if (launch == launches) return;
        __global const ulong* const record = list + launch * {RECORD};
        for (; ended < record[4]; ended++) {{
            uint looks = 0;
            while (__atomic_load_n(done + ended * {LINE}, __ATOMIC_ACQUIRE) < list[ended * {RECORD} + 2]) {{
                if (++looks < {LOOKS}) __builtin_ia32_pause();
                else let_others_run();
            }}
        }}
        const ulong now = cycles();
        if (done[launch * {LINE} + 1] < begun) done[launch * {LINE} + 1] = now;
        // Nobody has come for the last seats.
        if (now - asked > {RESERVED}ul && LOAD(control + {ASLEEP}) && !is_full(control, LOAD(control + {TURN}))) {{
            wake(control + {POSTED}, 1);
            asked = now;
        }}
        call_runner(record[0], record[1], list + record[5], ticket - record[3]);
        const ulong before = ADD(done + launch * {LINE}, 1ul);
        if (before == record[2] - 1) done[launch * {LINE} + 2] = cycles();
    }}
}}
"""

_TEAM = f"""\
// Whether the thread has a seat at the list whose turn it is.
INLINE bool has_entered(__global ulong* control) {{
    for (;;) {{
        const ulong turn = LOAD(control + {TURN});
        if (turn / {SEATS} == LOAD(control + {POSTED}) || turn % {SEATS} >= control[{CORES}]) return false;
        if (REPLACE(control + {TURN}, turn, turn + 1)) return true;
    }}
}}
NOT_INLINE void take_part(__global ulong* control) {{
    __global ulong* const posted = control + {RING} + LOAD(control + {TURN}) / {SEATS} % {POSTS} * 4;
    __global ulong* const state = (__global ulong*)posted[1];
    const ulong launches = posted[2];
    run_list(control, (__global const ulong*)posted[0], state, launches);
    const ulong turn = __sync_sub_and_fetch(control + {TURN}, 1ul);
    // Who leaves has found no more tasks, so when nobody is inside all have ended.
    if (turn % {SEATS} || !REPLACE(control + {TURN}, turn, turn + {CLOSED})) return;
    for (ulong i = 0; i < launches; i++) state[{HEAD} + i * {LINE}] = 0;
    state[{TICKET}] = 0;
    state[{BEGUN}] = 0;
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
        const ulong posted = LOAD(control + {POSTED}), turn = LOAD(control + {TURN});
        if (!LOAD(control + {STOPPED}) && (turn / {SEATS} == posted || is_full(control, turn)))
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
