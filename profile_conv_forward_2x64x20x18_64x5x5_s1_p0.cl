# 0, cut as the heuristic does
# kernel contract
#   b0: float32[46080]
#   b1: float32[102400]
#   b2: float32[28672] written
# body 0: i0 < 2, i1 < 16, i2 < 14, i3 < 64
#   stage 0: j0 < 5, j1 < 5, j2 < 64
#     r0: float32 = contract(b0[23040*i0 + 1152*i1 + 64*i2 + 1152*j0 + 64*j1 + j2], b1[5120*j0 + 1024*j1 + 16*j2 + (i3) % 16 + 25600*((i3) // 16)])
#   stage 1:
#     b2[14336*i0 + 896*i1 + 64*i2 + i3] = r0
NOT_INLINE void contract_kernel_body0(
    __global uchar* restrict scratch,
    const int group,
    __global const float* restrict b0,
    __global const float* restrict b1,
    __global float* restrict b2) {
    // 448 rows x 4 panels of 16 columns, sums of 1600; tiles of 6 x 16
    __global long* const row_offsets = (__global long*)(scratch + group * 15616L);
    __global float8* const partial_sums = (__global float8*)(scratch + group * 15616L + 1024);
    const long last_task = (group + 1) * 8L / 8;
    for (long task = group * 8L / 8; task < last_task; task++) {
        HIDE(task);
        const long panel_begin = task % 2 * 2;
        const long panel_end = panel_begin + 2 < 4 ? panel_begin + 2 : 4;
        const long row_begin = task / 2 % 4 * 114;
        const long row_end = row_begin + 114 < 448 ? row_begin + 114 : 448;
        __global const float* const rows = b0;
        __global const float* const columns = b1;
        for (long row = row_begin; row < row_begin + 114; row++) {
            const long kept = row < 447 ? row : 447;
            const long row_i2 = (kept) % 14;
            const long row_i1 = ((kept) / 14) % 16;
            const long row_i0 = (kept) / 224;
            row_offsets[row - row_begin] = row_i0 * 23040L + row_i1 * 1152L + row_i2 * 64L;
        }
        for (long block_j0 = 0; block_j0 < 5; block_j0 += 1) {
            HIDE(block_j0);
            const long first_block = block_j0 == 0;
            const long last_block = block_j0 + 1 >= 5;
            for (long group_begin = row_begin; group_begin < row_end; group_begin += 102) {
                HIDE(group_begin);
                const long group_end = group_begin + 102 < row_end ? group_begin + 102 : row_end;
                for (long panel = panel_begin; panel < panel_end; panel++) {
                    HIDE(panel);
                    const long column_i3o = panel;
                    __global const float* const b = columns + column_i3o * 25600L + block_j0 * 5120L;
                    for (long row = group_begin; row < group_end; row += 6) {
                        HIDE(row);
                        __global float8* const partial = partial_sums + ((panel - panel_begin) * 19 + (row - row_begin) / 6) * 12L;
                        float8 tile[12];
                        __global const float* const a0 = rows + block_j0 * 1152L + row_offsets[row - row_begin + 0];
                        __global const float* const a1 = rows + block_j0 * 1152L + row_offsets[row - row_begin + 1];
                        __global const float* const a2 = rows + block_j0 * 1152L + row_offsets[row - row_begin + 2];
                        __global const float* const a3 = rows + block_j0 * 1152L + row_offsets[row - row_begin + 3];
                        __global const float* const a4 = rows + block_j0 * 1152L + row_offsets[row - row_begin + 4];
                        __global const float* const a5 = rows + block_j0 * 1152L + row_offsets[row - row_begin + 5];
                        float8 c0_0 = 0, c0_1 = 0, c1_0 = 0, c1_1 = 0, c2_0 = 0, c2_1 = 0, c3_0 = 0, c3_1 = 0, c4_0 = 0, c4_1 = 0, c5_0 = 0, c5_1 = 0;
                        if (!first_block) {
                            c0_0 = partial[0];
                            c0_1 = partial[1];
                            c1_0 = partial[2];
                            c1_1 = partial[3];
                            c2_0 = partial[4];
                            c2_1 = partial[5];
                            c3_0 = partial[6];
                            c3_1 = partial[7];
                            c4_0 = partial[8];
                            c4_1 = partial[9];
                            c5_0 = partial[10];
                            c5_1 = partial[11];
                        }
                        long k = 0;
                        for (; k < 320; k += 2) {
                            const long k0 = k * 1;
                            const long k1 = k * 16;
                            {
                                const float8 w0 = *(__global const unaligned_float8*)(b + k1 + 0);
                                const float8 w1 = *(__global const unaligned_float8*)(b + k1 + 8);
                                { const float x = a0[k0 + 0]; c0_0 = x * w0 + c0_0; c0_1 = x * w1 + c0_1; }
                                { const float x = a1[k0 + 0]; c1_0 = x * w0 + c1_0; c1_1 = x * w1 + c1_1; }
                                { const float x = a2[k0 + 0]; c2_0 = x * w0 + c2_0; c2_1 = x * w1 + c2_1; }
                                { const float x = a3[k0 + 0]; c3_0 = x * w0 + c3_0; c3_1 = x * w1 + c3_1; }
                                { const float x = a4[k0 + 0]; c4_0 = x * w0 + c4_0; c4_1 = x * w1 + c4_1; }
                                { const float x = a5[k0 + 0]; c5_0 = x * w0 + c5_0; c5_1 = x * w1 + c5_1; }
                            }
                            {
                                const float8 w0 = *(__global const unaligned_float8*)(b + k1 + 16);
                                const float8 w1 = *(__global const unaligned_float8*)(b + k1 + 24);
                                { const float x = a0[k0 + 1]; c0_0 = x * w0 + c0_0; c0_1 = x * w1 + c0_1; }
                                { const float x = a1[k0 + 1]; c1_0 = x * w0 + c1_0; c1_1 = x * w1 + c1_1; }
                                { const float x = a2[k0 + 1]; c2_0 = x * w0 + c2_0; c2_1 = x * w1 + c2_1; }
                                { const float x = a3[k0 + 1]; c3_0 = x * w0 + c3_0; c3_1 = x * w1 + c3_1; }
                                { const float x = a4[k0 + 1]; c4_0 = x * w0 + c4_0; c4_1 = x * w1 + c4_1; }
                                { const float x = a5[k0 + 1]; c5_0 = x * w0 + c5_0; c5_1 = x * w1 + c5_1; }
                            }
                        }
                        if (last_block) {
                            tile[0] = c0_0;
                            tile[1] = c0_1;
                            tile[2] = c1_0;
                            tile[3] = c1_1;
                            tile[4] = c2_0;
                            tile[5] = c2_1;
                            tile[6] = c3_0;
                            tile[7] = c3_1;
                            tile[8] = c4_0;
                            tile[9] = c4_1;
                            tile[10] = c5_0;
                            tile[11] = c5_1;
                        }
                        else {
                            partial[0] = c0_0;
                            partial[1] = c0_1;
                            partial[2] = c1_0;
                            partial[3] = c1_1;
                            partial[4] = c2_0;
                            partial[5] = c2_1;
                            partial[6] = c3_0;
                            partial[7] = c3_1;
                            partial[8] = c4_0;
                            partial[9] = c4_1;
                            partial[10] = c5_0;
                            partial[11] = c5_1;
                        }
                        if (last_block) {
                            const long tile_rows = 448 - row < 6 ? 448 - row : 6;
                            for (long r = 0; r < tile_rows; r++) {
                                HIDE(r);
                                const long row_i2 = ((row + r)) % 14;
                                const long row_i1 = (((row + r)) / 14) % 16;
                                const long row_i0 = ((row + r)) / 224;
                                for (long lane = 0; lane < 16; lane += 16) {
                                    const long k1 = row_i0 * 14336 + row_i1 * 896 + row_i2 * 64 + lane + column_i3o * 16;
                                    *(__global unaligned_float16*)(b2 + k1) = ((const float16*)tile)[(r * 16 + lane) / 16];
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}
__kernel __attribute__((reqd_work_group_size(1, 1, 1))) void contract_kernel(
    __global const float* restrict b0,
    __global const float* restrict b1,
    __global float* restrict b2,
    __global uchar* restrict all_scratch) {
    if (!b0) return; // a launch without buffers: only to have the kernel compiled
    contract_kernel_body0(all_scratch + 0, (int)get_group_id(0), b0, b1, b2);
}


# 1, cut as the heuristic does
# kernel pack
#   b0: float32[102400]
#   b1: float32[102400] written
# body 0: i0 < 5, i1 < 5, i2 < 64, i3 < 64
#   stage 0:
#     b1[5120*i0 + 1024*i1 + 16*i2 + (i3) % 16 + 25600*((i3) // 16)] = b0[5*i0 + i1 + 25*i2 + 1600*i3]
NOT_INLINE void pack_kernel_body0(
    const int group,
    __global const float* restrict b0,
    __global float* restrict b1) {
    const long first = group * 64;
    const long last = first + 64;
    for (long point = first; point < last; point++) {
        HIDE(point);
        const long i1 = point / 64; // i3o of 4
        const long i2 = point % 64; // i2 of 64
        const long i3 = 0; // i0i1 of 25, in blocks of 128
        const long i3_end = i3 + 128 < 25 ? i3 + 128 : 25;
        const long k9 = i2 * 25 + i1 * 25600;
        const long k43 = i2 * 16 + i1 * 25600;
        const long k45 = i2 * 16 + i1 * 25600;
        const long k47 = i2 * 16 + i1 * 25600;
        const long k49 = i2 * 16 + i1 * 25600;
        const long k51 = i2 * 16 + i1 * 25600;
        const long k53 = i2 * 16 + i1 * 25600;
        const long k55 = i2 * 16 + i1 * 25600;
        const long k57 = i2 * 16 + i1 * 25600;
        for (long v4 = 0; v4 < 16; v4 += 16) { // i3i in blocks of 16
            HIDE(v4);
            const long v5 = v4 + 16;
            for (long v6 = i3; v6 < i3_end; v6 += 8) { // i0i1 of 25, 8 lanes
                HIDE(v6);
                const long i7 = v6 < 17 ? v6 : 17;
                for (long v8 = v4; v8 < v5; v8 += 8) { // i3i of 16, 8 lanes
                    const long k10 = k9 + i7 + v8 * 1600;
                    const float8 x11 = *(__global const unaligned_float8*)(b0 + k10);
                    const float8 x12 = *(__global const unaligned_float8*)(b0 + (k10 + 1600));
                    const float8 x13 = *(__global const unaligned_float8*)(b0 + (k10 + 3200));
                    const float8 x14 = *(__global const unaligned_float8*)(b0 + (k10 + 4800));
                    const float8 x15 = *(__global const unaligned_float8*)(b0 + (k10 + 6400));
                    const float8 x16 = *(__global const unaligned_float8*)(b0 + (k10 + 8000));
                    const float8 x17 = *(__global const unaligned_float8*)(b0 + (k10 + 9600));
                    const float8 x18 = *(__global const unaligned_float8*)(b0 + (k10 + 11200));
                    const float8 x19 = __builtin_shufflevector(x11, x15, 0, 1, 2, 3, 8, 9, 10, 11);
                    const float8 x20 = __builtin_shufflevector(x11, x15, 4, 5, 6, 7, 12, 13, 14, 15);
                    const float8 x21 = __builtin_shufflevector(x12, x16, 0, 1, 2, 3, 8, 9, 10, 11);
                    const float8 x22 = __builtin_shufflevector(x12, x16, 4, 5, 6, 7, 12, 13, 14, 15);
                    const float8 x23 = __builtin_shufflevector(x13, x17, 0, 1, 2, 3, 8, 9, 10, 11);
                    const float8 x24 = __builtin_shufflevector(x13, x17, 4, 5, 6, 7, 12, 13, 14, 15);
                    const float8 x25 = __builtin_shufflevector(x14, x18, 0, 1, 2, 3, 8, 9, 10, 11);
                    const float8 x26 = __builtin_shufflevector(x14, x18, 4, 5, 6, 7, 12, 13, 14, 15);
                    const float8 x27 = __builtin_shufflevector(x19, x23, 0, 1, 8, 9, 4, 5, 12, 13);
                    const float8 x28 = __builtin_shufflevector(x19, x23, 2, 3, 10, 11, 6, 7, 14, 15);
                    const float8 x29 = __builtin_shufflevector(x21, x25, 0, 1, 8, 9, 4, 5, 12, 13);
                    const float8 x30 = __builtin_shufflevector(x21, x25, 2, 3, 10, 11, 6, 7, 14, 15);
                    const float8 x31 = __builtin_shufflevector(x20, x24, 0, 1, 8, 9, 4, 5, 12, 13);
                    const float8 x32 = __builtin_shufflevector(x20, x24, 2, 3, 10, 11, 6, 7, 14, 15);
                    const float8 x33 = __builtin_shufflevector(x22, x26, 0, 1, 8, 9, 4, 5, 12, 13);
                    const float8 x34 = __builtin_shufflevector(x22, x26, 2, 3, 10, 11, 6, 7, 14, 15);
                    const float8 x35 = __builtin_shufflevector(x27, x29, 0, 8, 2, 10, 4, 12, 6, 14);
                    const float8 x36 = __builtin_shufflevector(x27, x29, 1, 9, 3, 11, 5, 13, 7, 15);
                    const float8 x37 = __builtin_shufflevector(x28, x30, 0, 8, 2, 10, 4, 12, 6, 14);
                    const float8 x38 = __builtin_shufflevector(x28, x30, 1, 9, 3, 11, 5, 13, 7, 15);
                    const float8 x39 = __builtin_shufflevector(x31, x33, 0, 8, 2, 10, 4, 12, 6, 14);
                    const float8 x40 = __builtin_shufflevector(x31, x33, 1, 9, 3, 11, 5, 13, 7, 15);
                    const float8 x41 = __builtin_shufflevector(x32, x34, 0, 8, 2, 10, 4, 12, 6, 14);
                    const float8 x42 = __builtin_shufflevector(x32, x34, 1, 9, 3, 11, 5, 13, 7, 15);
                    const long k44 = k43 + v8;
                    {
                        *(__global unaligned_float8*)(b1 + (k44 + (i7 + 0) * 1024)) = x35;
                    }
                    const long k46 = k45 + v8;
                    {
                        *(__global unaligned_float8*)(b1 + (k46 + (i7 + 1) * 1024)) = x36;
                    }
                    const long k48 = k47 + v8;
                    {
                        *(__global unaligned_float8*)(b1 + (k48 + (i7 + 2) * 1024)) = x37;
                    }
                    const long k50 = k49 + v8;
                    {
                        *(__global unaligned_float8*)(b1 + (k50 + (i7 + 3) * 1024)) = x38;
                    }
                    const long k52 = k51 + v8;
                    {
                        *(__global unaligned_float8*)(b1 + (k52 + (i7 + 4) * 1024)) = x39;
                    }
                    const long k54 = k53 + v8;
                    {
                        *(__global unaligned_float8*)(b1 + (k54 + (i7 + 5) * 1024)) = x40;
                    }
                    const long k56 = k55 + v8;
                    {
                        *(__global unaligned_float8*)(b1 + (k56 + (i7 + 6) * 1024)) = x41;
                    }
                    const long k58 = k57 + v8;
                    {
                        *(__global unaligned_float8*)(b1 + (k58 + (i7 + 7) * 1024)) = x42;
                    }
                }
            }
        }
    }
}
__kernel __attribute__((reqd_work_group_size(1, 1, 1))) void pack_kernel(
    __global const float* restrict b0,
    __global float* restrict b1) {
    if (!b0) return; // a launch without buffers: only to have the kernel compiled
    pack_kernel_body0((int)get_group_id(0), b0, b1);
}


# 2, cut as the heuristic does
# kernel pack
#   b0: float32[46080]
#   b1: float32[46080] written
# body 0: i0 < 2, i1 < 64, i2 < 20, i3 < 18
#   stage 0:
#     b1[23040*i0 + i1 + 1152*i2 + 64*i3] = b0[23040*i0 + 360*i1 + 18*i2 + i3]
NOT_INLINE void pack_kernel_body0(
    const int group,
    __global const float* restrict b0,
    __global float* restrict b1) {
    const long first = group * 6;
    const long last = first + 6;
    for (long point = first; point < last; point++) {
        HIDE(point);
        const long i1 = point / 3; // i0 of 2
        const long i2 = (point % 3) * 128; // i2i3 of 360, in blocks of 128
        const long i2_end = i2 + 128 < 360 ? i2 + 128 : 360;
        for (long v3 = 0; v3 < 64; v3 += 16) { // i1 in blocks of 16
            HIDE(v3);
            const long v4 = v3 + 16;
            for (long v5 = i2; v5 < i2_end; v5 += 8) { // i2i3 of 360, 8 lanes
                HIDE(v5);
                for (long v6 = v3; v6 < v4; v6 += 8) { // i1 of 64, 8 lanes
                    const long k7 = i1 * 23040 + v5 + v6 * 360;
                    const float8 x8 = *(__global const unaligned_float8*)(b0 + k7);
                    const float8 x9 = *(__global const unaligned_float8*)(b0 + (k7 + 360));
                    const float8 x10 = *(__global const unaligned_float8*)(b0 + (k7 + 720));
                    const float8 x11 = *(__global const unaligned_float8*)(b0 + (k7 + 1080));
                    const float8 x12 = *(__global const unaligned_float8*)(b0 + (k7 + 1440));
                    const float8 x13 = *(__global const unaligned_float8*)(b0 + (k7 + 1800));
                    const float8 x14 = *(__global const unaligned_float8*)(b0 + (k7 + 2160));
                    const float8 x15 = *(__global const unaligned_float8*)(b0 + (k7 + 2520));
                    const float8 x16 = __builtin_shufflevector(x8, x12, 0, 1, 2, 3, 8, 9, 10, 11);
                    const float8 x17 = __builtin_shufflevector(x8, x12, 4, 5, 6, 7, 12, 13, 14, 15);
                    const float8 x18 = __builtin_shufflevector(x9, x13, 0, 1, 2, 3, 8, 9, 10, 11);
                    const float8 x19 = __builtin_shufflevector(x9, x13, 4, 5, 6, 7, 12, 13, 14, 15);
                    const float8 x20 = __builtin_shufflevector(x10, x14, 0, 1, 2, 3, 8, 9, 10, 11);
                    const float8 x21 = __builtin_shufflevector(x10, x14, 4, 5, 6, 7, 12, 13, 14, 15);
                    const float8 x22 = __builtin_shufflevector(x11, x15, 0, 1, 2, 3, 8, 9, 10, 11);
                    const float8 x23 = __builtin_shufflevector(x11, x15, 4, 5, 6, 7, 12, 13, 14, 15);
                    const float8 x24 = __builtin_shufflevector(x16, x20, 0, 1, 8, 9, 4, 5, 12, 13);
                    const float8 x25 = __builtin_shufflevector(x16, x20, 2, 3, 10, 11, 6, 7, 14, 15);
                    const float8 x26 = __builtin_shufflevector(x18, x22, 0, 1, 8, 9, 4, 5, 12, 13);
                    const float8 x27 = __builtin_shufflevector(x18, x22, 2, 3, 10, 11, 6, 7, 14, 15);
                    const float8 x28 = __builtin_shufflevector(x17, x21, 0, 1, 8, 9, 4, 5, 12, 13);
                    const float8 x29 = __builtin_shufflevector(x17, x21, 2, 3, 10, 11, 6, 7, 14, 15);
                    const float8 x30 = __builtin_shufflevector(x19, x23, 0, 1, 8, 9, 4, 5, 12, 13);
                    const float8 x31 = __builtin_shufflevector(x19, x23, 2, 3, 10, 11, 6, 7, 14, 15);
                    const float8 x32 = __builtin_shufflevector(x24, x26, 0, 8, 2, 10, 4, 12, 6, 14);
                    const float8 x33 = __builtin_shufflevector(x24, x26, 1, 9, 3, 11, 5, 13, 7, 15);
                    const float8 x34 = __builtin_shufflevector(x25, x27, 0, 8, 2, 10, 4, 12, 6, 14);
                    const float8 x35 = __builtin_shufflevector(x25, x27, 1, 9, 3, 11, 5, 13, 7, 15);
                    const float8 x36 = __builtin_shufflevector(x28, x30, 0, 8, 2, 10, 4, 12, 6, 14);
                    const float8 x37 = __builtin_shufflevector(x28, x30, 1, 9, 3, 11, 5, 13, 7, 15);
                    const float8 x38 = __builtin_shufflevector(x29, x31, 0, 8, 2, 10, 4, 12, 6, 14);
                    const float8 x39 = __builtin_shufflevector(x29, x31, 1, 9, 3, 11, 5, 13, 7, 15);
                    const long k40 = i1 * 23040 + v6;
                    {
                        *(__global unaligned_float8*)(b1 + (k40 + (v5 + 0) * 64)) = x32;
                    }
                    const long k41 = i1 * 23040 + v6;
                    {
                        *(__global unaligned_float8*)(b1 + (k41 + (v5 + 1) * 64)) = x33;
                    }
                    const long k42 = i1 * 23040 + v6;
                    {
                        *(__global unaligned_float8*)(b1 + (k42 + (v5 + 2) * 64)) = x34;
                    }
                    const long k43 = i1 * 23040 + v6;
                    {
                        *(__global unaligned_float8*)(b1 + (k43 + (v5 + 3) * 64)) = x35;
                    }
                    const long k44 = i1 * 23040 + v6;
                    {
                        *(__global unaligned_float8*)(b1 + (k44 + (v5 + 4) * 64)) = x36;
                    }
                    const long k45 = i1 * 23040 + v6;
                    {
                        *(__global unaligned_float8*)(b1 + (k45 + (v5 + 5) * 64)) = x37;
                    }
                    const long k46 = i1 * 23040 + v6;
                    {
                        *(__global unaligned_float8*)(b1 + (k46 + (v5 + 6) * 64)) = x38;
                    }
                    const long k47 = i1 * 23040 + v6;
                    {
                        *(__global unaligned_float8*)(b1 + (k47 + (v5 + 7) * 64)) = x39;
                    }
                }
            }
        }
    }
}
__kernel __attribute__((reqd_work_group_size(1, 1, 1))) void pack_kernel(
    __global const float* restrict b0,
    __global float* restrict b1) {
    if (!b0) return; // a launch without buffers: only to have the kernel compiled
    pack_kernel_body0((int)get_group_id(0), b0, b1);
}


# 3, cut as the heuristic does
# kernel leaf
#   b0: float32[28672]
#   b1: float32[28672] written
# body 0: i0 < 2, i1 < 64, i2 < 16, i3 < 14
#   stage 0:
#     b1[14336*i0 + 224*i1 + 14*i2 + i3] = b0[14336*i0 + i1 + 896*i2 + 64*i3]
NOT_INLINE void leaf_kernel_body0(
    const int group,
    __global const float* restrict b0,
    __global float* restrict b1) {
    const long first = group * 2;
    const long last = first + 2;
    for (long point = first; point < last; point++) {
        HIDE(point);
        const long i1 = point; // i0 of 2
        const long i2 = 0; // i1 of 64, in blocks of 128
        const long i2_end = i2 + 128 < 64 ? i2 + 128 : 64;
        for (long v3 = 0; v3 < 224; v3 += 16) { // i2i3 in blocks of 16
            HIDE(v3);
            const long v4 = v3 + 16;
            for (long v5 = i2; v5 < i2_end; v5 += 8) { // i1 of 64, 8 lanes
                HIDE(v5);
                for (long v6 = v3; v6 < v4; v6 += 8) { // i2i3 of 224, 8 lanes
                    const long k7 = i1 * 14336 + v5 + v6 * 64;
                    const float8 x8 = *(__global const unaligned_float8*)(b0 + k7);
                    const float8 x9 = *(__global const unaligned_float8*)(b0 + (k7 + 64));
                    const float8 x10 = *(__global const unaligned_float8*)(b0 + (k7 + 128));
                    const float8 x11 = *(__global const unaligned_float8*)(b0 + (k7 + 192));
                    const float8 x12 = *(__global const unaligned_float8*)(b0 + (k7 + 256));
                    const float8 x13 = *(__global const unaligned_float8*)(b0 + (k7 + 320));
                    const float8 x14 = *(__global const unaligned_float8*)(b0 + (k7 + 384));
                    const float8 x15 = *(__global const unaligned_float8*)(b0 + (k7 + 448));
                    const float8 x16 = __builtin_shufflevector(x8, x12, 0, 1, 2, 3, 8, 9, 10, 11);
                    const float8 x17 = __builtin_shufflevector(x8, x12, 4, 5, 6, 7, 12, 13, 14, 15);
                    const float8 x18 = __builtin_shufflevector(x9, x13, 0, 1, 2, 3, 8, 9, 10, 11);
                    const float8 x19 = __builtin_shufflevector(x9, x13, 4, 5, 6, 7, 12, 13, 14, 15);
                    const float8 x20 = __builtin_shufflevector(x10, x14, 0, 1, 2, 3, 8, 9, 10, 11);
                    const float8 x21 = __builtin_shufflevector(x10, x14, 4, 5, 6, 7, 12, 13, 14, 15);
                    const float8 x22 = __builtin_shufflevector(x11, x15, 0, 1, 2, 3, 8, 9, 10, 11);
                    const float8 x23 = __builtin_shufflevector(x11, x15, 4, 5, 6, 7, 12, 13, 14, 15);
                    const float8 x24 = __builtin_shufflevector(x16, x20, 0, 1, 8, 9, 4, 5, 12, 13);
                    const float8 x25 = __builtin_shufflevector(x16, x20, 2, 3, 10, 11, 6, 7, 14, 15);
                    const float8 x26 = __builtin_shufflevector(x18, x22, 0, 1, 8, 9, 4, 5, 12, 13);
                    const float8 x27 = __builtin_shufflevector(x18, x22, 2, 3, 10, 11, 6, 7, 14, 15);
                    const float8 x28 = __builtin_shufflevector(x17, x21, 0, 1, 8, 9, 4, 5, 12, 13);
                    const float8 x29 = __builtin_shufflevector(x17, x21, 2, 3, 10, 11, 6, 7, 14, 15);
                    const float8 x30 = __builtin_shufflevector(x19, x23, 0, 1, 8, 9, 4, 5, 12, 13);
                    const float8 x31 = __builtin_shufflevector(x19, x23, 2, 3, 10, 11, 6, 7, 14, 15);
                    const float8 x32 = __builtin_shufflevector(x24, x26, 0, 8, 2, 10, 4, 12, 6, 14);
                    const float8 x33 = __builtin_shufflevector(x24, x26, 1, 9, 3, 11, 5, 13, 7, 15);
                    const float8 x34 = __builtin_shufflevector(x25, x27, 0, 8, 2, 10, 4, 12, 6, 14);
                    const float8 x35 = __builtin_shufflevector(x25, x27, 1, 9, 3, 11, 5, 13, 7, 15);
                    const float8 x36 = __builtin_shufflevector(x28, x30, 0, 8, 2, 10, 4, 12, 6, 14);
                    const float8 x37 = __builtin_shufflevector(x28, x30, 1, 9, 3, 11, 5, 13, 7, 15);
                    const float8 x38 = __builtin_shufflevector(x29, x31, 0, 8, 2, 10, 4, 12, 6, 14);
                    const float8 x39 = __builtin_shufflevector(x29, x31, 1, 9, 3, 11, 5, 13, 7, 15);
                    const long k40 = i1 * 14336 + v6;
                    {
                        *(__global unaligned_float8*)(b1 + (k40 + (v5 + 0) * 224)) = x32;
                    }
                    const long k41 = i1 * 14336 + v6;
                    {
                        *(__global unaligned_float8*)(b1 + (k41 + (v5 + 1) * 224)) = x33;
                    }
                    const long k42 = i1 * 14336 + v6;
                    {
                        *(__global unaligned_float8*)(b1 + (k42 + (v5 + 2) * 224)) = x34;
                    }
                    const long k43 = i1 * 14336 + v6;
                    {
                        *(__global unaligned_float8*)(b1 + (k43 + (v5 + 3) * 224)) = x35;
                    }
                    const long k44 = i1 * 14336 + v6;
                    {
                        *(__global unaligned_float8*)(b1 + (k44 + (v5 + 4) * 224)) = x36;
                    }
                    const long k45 = i1 * 14336 + v6;
                    {
                        *(__global unaligned_float8*)(b1 + (k45 + (v5 + 5) * 224)) = x37;
                    }
                    const long k46 = i1 * 14336 + v6;
                    {
                        *(__global unaligned_float8*)(b1 + (k46 + (v5 + 6) * 224)) = x38;
                    }
                    const long k47 = i1 * 14336 + v6;
                    {
                        *(__global unaligned_float8*)(b1 + (k47 + (v5 + 7) * 224)) = x39;
                    }
                }
            }
        }
    }
}
__kernel __attribute__((reqd_work_group_size(1, 1, 1))) void leaf_kernel(
    __global const float* restrict b0,
    __global float* restrict b1) {
    if (!b0) return; // a launch without buffers: only to have the kernel compiled
    leaf_kernel_body0((int)get_group_id(0), b0, b1);
}

