"""The cost model: every number that decides what is fused and what is stored, with its reason."""

from __future__ import annotations

# Computing an element again in each kernel that needs it costs arithmetic (in additions); loading a stored one
# costs about this much. Below the limit nothing is stored.
RECOMPUTE_LIMIT = 8.0

# A value that needs more full-size loads than this is stored rather than computed again from them.
RECOMPUTE_LOADS = 2

# A stream would load a stored element again at each of its points; up to this cost it computes it there instead.
STREAMED_COST = 4.0

# One kernel's body: past this many operations compile time grows faster than anything saved by fusing.
BODY_LIMIT = 160

# A fused row kernel parallelises over rows only. With fewer rows than this many vectors a core, and more elements
# than the second number, the reduction is split in two stages instead.
ROW_VECTORS_PER_CORE = 2
SPLIT_ELEMENTS = 1 << 16

# Independent kernels whose results nothing waits for (optimizer updates) share launches up to this many bodies.
BUNDLE_BODIES = 24
# One that would keep more than this alive until then (a gradient that its update alone reads) runs at once instead: a
# launch costs microseconds.
BUNDLE_HELD_BYTES = 1 << 20

# An operand is written out in another order so that a larger one, or the result, can stay as it lies, if that has at
# least so many times its elements.
WRITTEN_OUT = 2
# Rows for which packing a large operand takes longer than multiplying it: three passes through memory instead of one,
# at the arithmetic that a processor does meanwhile (with 180 GFLOP/s and 20 GB/s, 36 operations for each number).
FEW_ROWS = 32
# Rows of a matrix, which come out as columns without harm to those who read them (rows of images and of sequences
# would not, nor would windows have their transforms): packing less is worth up to a quarter of the time of 33 to 128
# such rows (the median of 20 shapes is 3 %), and nothing of more.
FEW_MATRIX_ROWS = 128
# A result that has so many times fewer elements than an operand, which is too large for near caches, is brought into
# another order by a kernel of its own in a small part of the time in which that operand would be packed.
TURNED_RESULT = 16

# Storing an element by itself, not in a vector, takes about as long as packing so many (6 cycles and 1.5 measured, and
# more where elements lie 4 KiB apart).
SCATTERED_STORE = 4

# Packing costs one pass over the operand; it pays when each packed element is used at least this often.
PACK_ROWS = 48

# On processors tasks pack rows that do not lie along the sum, each task its own. With so many columns several do so
# with the same rows, and a copy that is turned once takes less: of products of this size 2 to 5 % (measured), while
# smaller ones lose as much by a kernel more.
TURNED_ROWS_USES = 192
TURNED_ROWS_PRODUCTS = 1 << 26

# Where programs compute tiles of a contraction, one core works on about this many rows and columns; with fewer tiles
# than cores the sum is cut into pieces of at least this many steps.
PIECE_TILE = 128
PIECE_LENGTH = 256
# On processors a sum of large operands is cut into so many pieces for each core (as many tasks even out what other
# processes take away), if all their results together have so many times fewer elements than the smaller operand.
PIECES_PER_CORE = 4
SMALL_PIECES = 8

# An operand of block programs is copied when fewer neighbours than this lie side by side: half a transaction. Rows on
# processors are turned only where so many do, since turning loads whole cache lines of them.
SHORTEST_RUN = 16

# Turning an operand for matrix units that read along the sum costs 8 bytes of memory an element, 3.6 ps on an H100, and
# saves it 6 fs at each use: tf32 products reach 415 TFLOP/s of turned operands, 180 of others.
TURNED_USES = 600

# Block programs compute an operand while they load it if an element costs no more additions than this: below what
# graphics processors do in the time in which they read four bytes (20 and more), with room for the product's own work.
PROLOGUE_COST = 6.0
# Each tile computes its operands anew, and a computed operand takes the way through registers, without asynchronous
# copies: past this many times the products themselves wait for it.
PROLOGUE_EVALUATIONS = 4
# Small values (a number for each row or column) that a prologue reads beside the large one take registers too.
PROLOGUE_SMALL_READS = 3
# What reading bytes once more costs, beside reading them from memory: second-level caches deliver about twice as many.
CACHED_READ = 0.5

# Additions and products that a device does in the time in which it moves a byte: about 100 G/s beside 27 GB/s on the
# processor that this was measured on, and no less on others. What is computed again is chosen by it.
OPERATIONS_PER_BYTE = 4.0

# A value is kept from run to run if it is at most this many times as large as the leaves that it comes from. Packed
# weights are as large, half-width ones twice when they are widened, Winograd's transforms of 3x3 weights 16/9 times.
PREPARED_GROWTH = 4.0
