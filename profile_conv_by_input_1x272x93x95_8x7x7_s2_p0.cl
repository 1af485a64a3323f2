# 0, cut as the heuristic does
# kernel sum
#   b0: float32[4021248]
#   b1: float32[3937472]
#   b2: float32[2403120] written
# body 0: i0 < 272, i1 < 93, i2 < 95
#   stage 0: j0 < 7
#     v0 = b0[7*i0 + j0 + 91392*((i1 - j0) // 2) + 1904*((i2) // 2); where 0 <= (i1 - j0) % 2 < 1 and 0 <= (i2) % 2 < 1 and 0 <= i1 - j0 < 87]
#     v1 = b1[7*i0 + j0 + 89488*((i1 - j0) // 2) + 1904*((i2 + 1) // 2) - 1904; where 0 <= (i1 - j0) % 2 < 1 and 0 <= (i2 + 1) % 2 < 1 and 0 <= i1 - j0 < 87 and 1 <= i2 < 94]
#     r0: float32 = sum(where(valid(0 <= (i1 - j0) % 2 < 1 and 0 <= i1 - j0 < 87), v0 + v1, 0.0))
#   stage 1:
#     b2[8835*i0 + 95*i1 + i2] = r0
NOT_INLINE void sum_kernel_body0(
    const int group,
    __global const float* restrict b0,
    __global const float* restrict b1,
    __global float* restrict b2) {
    const long first = group * 680;
    const long last = first + 680 < 8835 ? first + 680 : 8835;
    for (long point = first; point < last; point++) {
        HIDE(point);
        const long i1 = point / 95; // i1 of 93
        const long i2 = point % 95; // i2 of 95
        const long i3 = 0; // i0 of 272, in blocks of 272
        const long i3_end = i3 + 272;
        const long q11 = i2 >> 1;
        const long q14 = i2 & 1;
        const int m15 = q14 < 1;
        const long q18 = (i2 + 1) >> 1;
        const long q21 = (i2 + 1) & 1;
        const int m22 = q21 < 1;
        const int m23 = (i2 >= 1) & (i2 < 94);
        const long k28 = i1 * 95 + i2;
        for (long v4 = i3; v4 < i3_end; v4 += 8) { // i0 of 272, 8 lanes
            HIDE(v4);
            float8 result0 = (float8)(0.0f);
            const long k12 = q11 * 1904 + v4 * 7;
            const long k19 = q18 * 1904 + v4 * 7;
            for (long i5 = 0; i5 < 7; i5++) { // j0 of 7
                const long q6 = (i1 - i5) & 1;
                const int m7 = q6 < 1;
                const int m8 = ((i1 - i5) >= 0) & ((i1 - i5) < 87);
                const int m9 = m7 & m8;
                const long q10 = (i1 - i5) >> 1;
                const long k13 = k12 + i5 + q10 * 91392;
                const int m16 = m7 & m15 & m8;
                const float8 x17 = m16 ? (float8)(b0[k13], b0[k13 + 7], b0[k13 + 14], b0[k13 + 21], b0[k13 + 28], b0[k13 + 35], b0[k13 + 42], b0[k13 + 49]) : (float8)(0);
                const long k20 = k19 + i5 + q10 * 89488 - 1904;
                const int m24 = m7 & m22 & m8 & m23;
                const float8 x25 = m24 ? (float8)(b1[k20], b1[k20 + 7], b1[k20 + 14], b1[k20 + 21], b1[k20 + 28], b1[k20 + 35], b1[k20 + 42], b1[k20 + 49]) : (float8)(0);
                const float8 t26 = x17 + x25;
                const float8 t27 = m9 ? t26 : (float8)(0.0f);
                result0 = result0 + t27;
            }
            b2[k28 + v4 * 8835] = result0.s0;
            b2[(k28 + v4 * 8835) + 8835] = result0.s1;
            b2[(k28 + v4 * 8835) + 17670] = result0.s2;
            b2[(k28 + v4 * 8835) + 26505] = result0.s3;
            b2[(k28 + v4 * 8835) + 35340] = result0.s4;
            b2[(k28 + v4 * 8835) + 44175] = result0.s5;
            b2[(k28 + v4 * 8835) + 53010] = result0.s6;
            b2[(k28 + v4 * 8835) + 61845] = result0.s7;
        }
    }
}
__kernel __attribute__((reqd_work_group_size(1, 1, 1))) void sum_kernel(
    __global const float* restrict b0,
    __global const float* restrict b1,
    __global float* restrict b2) {
    if (!b0) return; // a launch without buffers: only to have the kernel compiled
    sum_kernel_body0((int)get_group_id(0), b0, b1, b2);
}


# 1, cut as the heuristic does
# kernel contract
#   b0: float32[17952]
#   b1: float32[60944]
#   b2: float32[4021248] written
# body 0: i0 < 44, i1 < 48, i2 < 272, i3 < 7
#   stage 0: j0 < 4, j1 < 8
#     r0: float32 = contract(b0[408*i0 + 8*i1 - 8*j0 + j1 + 24], b1[7*i2 + i3 + 15232*j0 + 1904*j1])
#   stage 1:
#     b2[91392*i0 + 1904*i1 + 7*i2 + i3] = r0
NOT_INLINE void contract_kernel_body0(
    __global uchar* restrict scratch,
    const int group,
    __global const float* restrict b0,
    __global const float* restrict b1,
    __global float* restrict b2) {
    // 2112 rows x 119 panels of 16 columns, sums of 32; tiles of 6 x 16
    __global long* const row_offsets = (__global long*)(scratch + group * 43264L);
    __global float* const packed_columns = (__global float*)(scratch + group * 43264L + 8448);
    const long last_task = (group + 1) * 14L / 14;
    for (long task = group * 14L / 14; task < last_task; task++) {
        HIDE(task);
        const long panel_begin = task % 7 * 17;
        const long panel_end = panel_begin + 17 < 119 ? panel_begin + 17 : 119;
        const long row_begin = task / 7 % 2 * 1056;
        const long row_end = row_begin + 1056 < 2112 ? row_begin + 1056 : 2112;
        __global const float* const rows = b0 + 24;
        __global const float* const columns = b1;
        for (long row = row_begin; row < row_end; row++) {
            const long kept = row < 2111 ? row : 2111;
            const long row_i1 = (kept) % 48;
            const long row_i0 = (kept) / 48;
            row_offsets[row - row_begin] = row_i0 * 408L + row_i1 * 8L;
        }
        for (long panel = panel_begin; panel < panel_end; panel++) {
            HIDE(panel);
            const long column_i2i3p = panel;
            __global const float* const b = columns + column_i2i3p * 16L;
            __global float* const packed = packed_columns + (panel - panel_begin) * 512L;
            long k = 0;
            for (; k < 32; k += 2) {
                const long k0 = k * 1904;
                const long k1 = k * 16;
                *(__global float8*)(packed + k1 + 0) = *(__global const unaligned_float8*)(b + k0 + 0);
                *(__global float8*)(packed + k1 + 8) = *(__global const unaligned_float8*)(b + k0 + 8);
                *(__global float8*)(packed + k1 + 16) = *(__global const unaligned_float8*)(b + k0 + 1904);
                *(__global float8*)(packed + k1 + 24) = *(__global const unaligned_float8*)(b + k0 + 1912);
            }
        }
        for (long group_begin = row_begin; group_begin < row_end; group_begin += 1020) {
            HIDE(group_begin);
            const long group_end = group_begin + 1020 < row_end ? group_begin + 1020 : row_end;
            for (long row = group_begin; row < group_end; row += 6) {
                HIDE(row);
                for (long panel = panel_begin; panel < panel_end; panel++) {
                    HIDE(panel);
                    const long column_i2i3p = panel;
                    __global const float* const b = packed_columns + (panel - panel_begin) * 512L;
                    float8 tile[12];
                    __global const float* const a0 = rows + row_offsets[row - row_begin + 0];
                    __global const float* const a1 = rows + row_offsets[row - row_begin + 1];
                    __global const float* const a2 = rows + row_offsets[row - row_begin + 2];
                    __global const float* const a3 = rows + row_offsets[row - row_begin + 3];
                    __global const float* const a4 = rows + row_offsets[row - row_begin + 4];
                    __global const float* const a5 = rows + row_offsets[row - row_begin + 5];
                    float8 c0_0 = 0, c0_1 = 0, c1_0 = 0, c1_1 = 0, c2_0 = 0, c2_1 = 0, c3_0 = 0, c3_1 = 0, c4_0 = 0, c4_1 = 0, c5_0 = 0, c5_1 = 0;
                    for (long w0 = 0; w0 < 4; w0++) {
                        HIDE(w0);
                        long k = 0;
                        for (; k < 8; k += 2) {
                            const long k0 = w0 * -8 + k * 1;
                            const long k1 = w0 * 128 + k * 16;
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
                    }
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
                    const long tile_rows = 2112 - row < 6 ? 2112 - row : 6;
                    for (long r = 0; r < tile_rows; r++) {
                        HIDE(r);
                        const long row_i1 = ((row + r)) % 48;
                        const long row_i0 = ((row + r)) / 48;
                        for (long lane = 0; lane < 16; lane += 16) {
                            const long k1 = row_i0 * 91392 + row_i1 * 1904 + lane + column_i2i3p * 16;
                            *(__global unaligned_float16*)(b2 + k1) = ((const float16*)tile)[(r * 16 + lane) / 16];
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


# 2, cut as the heuristic does
# kernel contract
#   b0: float32[17952]
#   b1: float32[45712]
#   b2: float32[3937472] written
# body 0: i0 < 44, i1 < 47, i2 < 272, i3 < 7
#   stage 0: j0 < 3, j1 < 8
#     r0: float32 = contract(b0[408*i0 + 8*i1 - 8*j0 + j1 + 24], b1[7*i2 + i3 + 15232*j0 + 1904*j1])
#   stage 1:
#     b2[89488*i0 + 1904*i1 + 7*i2 + i3] = r0
NOT_INLINE void contract_kernel_body0(
    __global uchar* restrict scratch,
    const int group,
    __global const float* restrict b0,
    __global const float* restrict b1,
    __global float* restrict b2) {
    // 2068 rows x 119 panels of 16 columns, sums of 24; tiles of 6 x 16
    __global long* const row_offsets = (__global long*)(scratch + group * 34432L);
    __global float* const packed_columns = (__global float*)(scratch + group * 34432L + 8320);
    const long last_task = (group + 1) * 14L / 14;
    for (long task = group * 14L / 14; task < last_task; task++) {
        HIDE(task);
        const long panel_begin = task % 7 * 17;
        const long panel_end = panel_begin + 17 < 119 ? panel_begin + 17 : 119;
        const long row_begin = task / 7 % 2 * 1038;
        const long row_end = row_begin + 1038 < 2068 ? row_begin + 1038 : 2068;
        __global const float* const rows = b0 + 24;
        __global const float* const columns = b1;
        for (long row = row_begin; row < row_begin + 1038; row++) {
            const long kept = row < 2067 ? row : 2067;
            const long row_i1 = (kept) % 47;
            const long row_i0 = (kept) / 47;
            row_offsets[row - row_begin] = row_i0 * 408L + row_i1 * 8L;
        }
        for (long panel = panel_begin; panel < panel_end; panel++) {
            HIDE(panel);
            const long column_i2i3p = panel;
            __global const float* const b = columns + column_i2i3p * 16L;
            __global float* const packed = packed_columns + (panel - panel_begin) * 384L;
            long k = 0;
            for (; k < 24; k += 2) {
                const long k0 = k * 1904;
                const long k1 = k * 16;
                *(__global float8*)(packed + k1 + 0) = *(__global const unaligned_float8*)(b + k0 + 0);
                *(__global float8*)(packed + k1 + 8) = *(__global const unaligned_float8*)(b + k0 + 8);
                *(__global float8*)(packed + k1 + 16) = *(__global const unaligned_float8*)(b + k0 + 1904);
                *(__global float8*)(packed + k1 + 24) = *(__global const unaligned_float8*)(b + k0 + 1912);
            }
        }
        for (long group_begin = row_begin; group_begin < row_end; group_begin += 1038) {
            HIDE(group_begin);
            const long group_end = group_begin + 1038 < row_end ? group_begin + 1038 : row_end;
            for (long row = group_begin; row < group_end; row += 6) {
                HIDE(row);
                for (long panel = panel_begin; panel < panel_end; panel++) {
                    HIDE(panel);
                    const long column_i2i3p = panel;
                    __global const float* const b = packed_columns + (panel - panel_begin) * 384L;
                    float8 tile[12];
                    __global const float* const a0 = rows + row_offsets[row - row_begin + 0];
                    __global const float* const a1 = rows + row_offsets[row - row_begin + 1];
                    __global const float* const a2 = rows + row_offsets[row - row_begin + 2];
                    __global const float* const a3 = rows + row_offsets[row - row_begin + 3];
                    __global const float* const a4 = rows + row_offsets[row - row_begin + 4];
                    __global const float* const a5 = rows + row_offsets[row - row_begin + 5];
                    float8 c0_0 = 0, c0_1 = 0, c1_0 = 0, c1_1 = 0, c2_0 = 0, c2_1 = 0, c3_0 = 0, c3_1 = 0, c4_0 = 0, c4_1 = 0, c5_0 = 0, c5_1 = 0;
                    for (long w0 = 0; w0 < 3; w0++) {
                        HIDE(w0);
                        long k = 0;
                        for (; k < 8; k += 2) {
                            const long k0 = w0 * -8 + k * 1;
                            const long k1 = w0 * 128 + k * 16;
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
                    }
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
                    const long tile_rows = 2068 - row < 6 ? 2068 - row : 6;
                    for (long r = 0; r < tile_rows; r++) {
                        HIDE(r);
                        const long row_i1 = ((row + r)) % 47;
                        const long row_i0 = ((row + r)) / 47;
                        for (long lane = 0; lane < 16; lane += 16) {
                            const long k1 = row_i0 * 89488 + row_i1 * 1904 + lane + column_i2i3p * 16;
                            *(__global unaligned_float16*)(b2 + k1) = ((const float16*)tile)[(r * 16 + lane) / 16];
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


# 3, cut as the heuristic does
# kernel pack
#   b0: float32[106624]
#   b1: float32[60944] written
# body 0: i0 < 4, i1 < 8, i2 < 272, i3 < 7
#   stage 0:
#     b1[15232*i0 + 1904*i1 + 7*i2 + i3] = b0[2*i0 + 13328*i1 + 49*i2 + 7*i3]
NOT_INLINE void pack_kernel_body0(
    __global const float* restrict b0,
    __global float* restrict b1) {
    {
        for (long i1 = 0; i1 < 4; i1++) { // i0 of 4
            HIDE(i1);
            for (long v2 = 0; v2 < 15232; v2 += 8) { // i1i2i3 of 15232, 8 lanes
                const float8 x3 = (float8)(b0[i1 * 2 + v2 * 7], b0[(i1 * 2 + v2 * 7) + 7], b0[(i1 * 2 + v2 * 7) + 14], b0[(i1 * 2 + v2 * 7) + 21], b0[(i1 * 2 + v2 * 7) + 28], b0[(i1 * 2 + v2 * 7) + 35], b0[(i1 * 2 + v2 * 7) + 42], b0[(i1 * 2 + v2 * 7) + 49]);
                *(__global unaligned_float8*)(b1 + (i1 * 15232 + v2)) = x3;
            }
        }
    }
}
__kernel __attribute__((reqd_work_group_size(1, 1, 1))) void pack_kernel(
    __global const float* restrict b0,
    __global float* restrict b1) {
    if (!b0) return; // a launch without buffers: only to have the kernel compiled
    pack_kernel_body0(b0, b1);
}


# 4, cut as the heuristic does
# kernel pack
#   b0: float32[106624]
#   b1: float32[45712] written
# body 0: i0 < 3, i1 < 8, i2 < 272, i3 < 7
#   stage 0:
#     b1[15232*i0 + 1904*i1 + 7*i2 + i3] = b0[2*i0 + 13328*i1 + 49*i2 + 7*i3 + 1]
NOT_INLINE void pack_kernel_body0(
    __global const float* restrict b0,
    __global float* restrict b1) {
    {
        for (long i1 = 0; i1 < 3; i1++) { // i0 of 3
            HIDE(i1);
            for (long v2 = 0; v2 < 15232; v2 += 8) { // i1i2i3 of 15232, 8 lanes
                const long k3 = i1 * 2 + v2 * 7 + 1;
                const float8 x4 = (float8)(b0[k3], b0[k3 + 7], b0[k3 + 14], b0[k3 + 21], b0[k3 + 28], b0[k3 + 35], b0[k3 + 42], b0[k3 + 49]);
                *(__global unaligned_float8*)(b1 + (i1 * 15232 + v2)) = x4;
            }
        }
    }
}
__kernel __attribute__((reqd_work_group_size(1, 1, 1))) void pack_kernel(
    __global const float* restrict b0,
    __global float* restrict b1) {
    if (!b0) return; // a launch without buffers: only to have the kernel compiled
    pack_kernel_body0(b0, b1);
}


# 5, cut as the heuristic does
# kernel pack
#   b0: float32[15840]
#   b1: float32[17952] written
# body 0: i0 < 8, i1 < 44, i2 < 45
#   stage 0:
#     b1[i0 + 408*i1 + 8*i2 + 24] = b0[1980*i0 + 45*i1 + i2]
# body 1: i0 < 8, i1 < 44, i2 < 3
#   stage 0:
#     b1[i0 + 408*i1 + 8*i2] = 0.0
#     b1[i0 + 408*i1 + 8*i2 + 384] = 0.0
NOT_INLINE void pack_kernel_body0(
    const int group,
    __global const float* restrict b0,
    __global float* restrict b1) {
    const long first = group * 44;
    const long last = first + 44;
    for (long point = first; point < last; point++) {
        HIDE(point);
        const long i1 = point; // i1 of 44
        const long i2 = 0; // i2 of 45, in blocks of 128
        const long i2_end = i2 + 128 < 45 ? i2 + 128 : 45;
        for (long v3 = 0; v3 < 8; v3 += 16) { // i0 in blocks of 16
            HIDE(v3);
            const long v4 = v3 + 16 < 8 ? v3 + 16 : 8;
            for (long v5 = i2; v5 < i2_end; v5 += 8) { // i2 of 45, 8 lanes
                HIDE(v5);
                const long i6 = v5 < 37 ? v5 : 37;
                for (long v7 = v3; v7 < v4; v7 += 8) { // i0 of 8, 8 lanes
                    const long k8 = i1 * 45 + i6 + v7 * 1980;
                    const float8 x9 = *(__global const unaligned_float8*)(b0 + k8);
                    const float8 x10 = *(__global const unaligned_float8*)(b0 + (k8 + 1980));
                    const float8 x11 = *(__global const unaligned_float8*)(b0 + (k8 + 3960));
                    const float8 x12 = *(__global const unaligned_float8*)(b0 + (k8 + 5940));
                    const float8 x13 = *(__global const unaligned_float8*)(b0 + (k8 + 7920));
                    const float8 x14 = *(__global const unaligned_float8*)(b0 + (k8 + 9900));
                    const float8 x15 = *(__global const unaligned_float8*)(b0 + (k8 + 11880));
                    const float8 x16 = *(__global const unaligned_float8*)(b0 + (k8 + 13860));
                    const float8 x17 = __builtin_shufflevector(x9, x13, 0, 1, 2, 3, 8, 9, 10, 11);
                    const float8 x18 = __builtin_shufflevector(x9, x13, 4, 5, 6, 7, 12, 13, 14, 15);
                    const float8 x19 = __builtin_shufflevector(x10, x14, 0, 1, 2, 3, 8, 9, 10, 11);
                    const float8 x20 = __builtin_shufflevector(x10, x14, 4, 5, 6, 7, 12, 13, 14, 15);
                    const float8 x21 = __builtin_shufflevector(x11, x15, 0, 1, 2, 3, 8, 9, 10, 11);
                    const float8 x22 = __builtin_shufflevector(x11, x15, 4, 5, 6, 7, 12, 13, 14, 15);
                    const float8 x23 = __builtin_shufflevector(x12, x16, 0, 1, 2, 3, 8, 9, 10, 11);
                    const float8 x24 = __builtin_shufflevector(x12, x16, 4, 5, 6, 7, 12, 13, 14, 15);
                    const float8 x25 = __builtin_shufflevector(x17, x21, 0, 1, 8, 9, 4, 5, 12, 13);
                    const float8 x26 = __builtin_shufflevector(x17, x21, 2, 3, 10, 11, 6, 7, 14, 15);
                    const float8 x27 = __builtin_shufflevector(x19, x23, 0, 1, 8, 9, 4, 5, 12, 13);
                    const float8 x28 = __builtin_shufflevector(x19, x23, 2, 3, 10, 11, 6, 7, 14, 15);
                    const float8 x29 = __builtin_shufflevector(x18, x22, 0, 1, 8, 9, 4, 5, 12, 13);
                    const float8 x30 = __builtin_shufflevector(x18, x22, 2, 3, 10, 11, 6, 7, 14, 15);
                    const float8 x31 = __builtin_shufflevector(x20, x24, 0, 1, 8, 9, 4, 5, 12, 13);
                    const float8 x32 = __builtin_shufflevector(x20, x24, 2, 3, 10, 11, 6, 7, 14, 15);
                    const float8 x33 = __builtin_shufflevector(x25, x27, 0, 8, 2, 10, 4, 12, 6, 14);
                    const float8 x34 = __builtin_shufflevector(x25, x27, 1, 9, 3, 11, 5, 13, 7, 15);
                    const float8 x35 = __builtin_shufflevector(x26, x28, 0, 8, 2, 10, 4, 12, 6, 14);
                    const float8 x36 = __builtin_shufflevector(x26, x28, 1, 9, 3, 11, 5, 13, 7, 15);
                    const float8 x37 = __builtin_shufflevector(x29, x31, 0, 8, 2, 10, 4, 12, 6, 14);
                    const float8 x38 = __builtin_shufflevector(x29, x31, 1, 9, 3, 11, 5, 13, 7, 15);
                    const float8 x39 = __builtin_shufflevector(x30, x32, 0, 8, 2, 10, 4, 12, 6, 14);
                    const float8 x40 = __builtin_shufflevector(x30, x32, 1, 9, 3, 11, 5, 13, 7, 15);
                    const long k41 = i1 * 408 + v7;
                    {
                        const long k42 = k41 + (i6 + 0) * 8 + 24;
                        *(__global unaligned_float8*)(b1 + k42) = x33;
                    }
                    const long k43 = i1 * 408 + v7;
                    {
                        const long k44 = k43 + (i6 + 1) * 8 + 24;
                        *(__global unaligned_float8*)(b1 + k44) = x34;
                    }
                    const long k45 = i1 * 408 + v7;
                    {
                        const long k46 = k45 + (i6 + 2) * 8 + 24;
                        *(__global unaligned_float8*)(b1 + k46) = x35;
                    }
                    const long k47 = i1 * 408 + v7;
                    {
                        const long k48 = k47 + (i6 + 3) * 8 + 24;
                        *(__global unaligned_float8*)(b1 + k48) = x36;
                    }
                    const long k49 = i1 * 408 + v7;
                    {
                        const long k50 = k49 + (i6 + 4) * 8 + 24;
                        *(__global unaligned_float8*)(b1 + k50) = x37;
                    }
                    const long k51 = i1 * 408 + v7;
                    {
                        const long k52 = k51 + (i6 + 5) * 8 + 24;
                        *(__global unaligned_float8*)(b1 + k52) = x38;
                    }
                    const long k53 = i1 * 408 + v7;
                    {
                        const long k54 = k53 + (i6 + 6) * 8 + 24;
                        *(__global unaligned_float8*)(b1 + k54) = x39;
                    }
                    const long k55 = i1 * 408 + v7;
                    {
                        const long k56 = k55 + (i6 + 7) * 8 + 24;
                        *(__global unaligned_float8*)(b1 + k56) = x40;
                    }
                }
            }
        }
    }
}
NOT_INLINE void pack_kernel_body1(
    __global float* restrict b1) {
    {
        for (long i1 = 0; i1 < 44; i1++) { // i1 of 44
            HIDE(i1);
            for (long v2 = 0; v2 < 24; v2 += 8) { // i2i0 of 24, 8 lanes
                *(__global unaligned_float8*)(b1 + (i1 * 408 + v2)) = (float8)(0.0f);
                const long k3 = i1 * 408 + v2 + 384;
                *(__global unaligned_float8*)(b1 + k3) = (float8)(0.0f);
            }
        }
    }
}
__kernel __attribute__((reqd_work_group_size(1, 1, 1))) void pack_kernel(
    __global const float* restrict b0,
    __global float* restrict b1) {
    if (!b0) return; // a launch without buffers: only to have the kernel compiled
    if (get_group_id(0) < 1) pack_kernel_body0((int)get_group_id(0), b0, b1);
    else pack_kernel_body1(b1);
}

