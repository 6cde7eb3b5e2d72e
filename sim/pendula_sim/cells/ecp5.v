// Cells of the ECP5 whose models Yosys lacks (DP16KD, MULT18X18D) or whose model ignores the initial
// contents (TRELLIS_DPR16X4), in the modes that synth_ecp5 emits. Names have a prefix, so that no
// model of Yosys is taken for one of these. A mode, parameter or port without a model ends the build
// with an error. Behaviour: Lattice FPGA-TN-02204 (memory) and FPGA-TN-02205 (sysDSP), and the
// mapping of Yosys.

`define PINS14(N) N``13, N``12, N``11, N``10, N``9, N``8, N``7, N``6, N``5, N``4, N``3, N``2, N``1, N``0
`define PINS18(N) N``17, N``16, N``15, N``14, `PINS14(N)
`define PINS36(N) N``35, N``34, N``33, N``32, N``31, N``30, N``29, N``28, N``27, N``26, N``25, N``24, \
    N``23, N``22, N``21, N``20, N``19, N``18, `PINS18(N)

`define ROWS(N) N``F, N``E, N``D, N``C, N``B, N``A, N``9, N``8, N``7, N``6, N``5, N``4, N``3, N``2, N``1, N``0
`define ZEROS(N) N``F = 0, N``E = 0, N``D = 0, N``C = 0, N``B = 0, N``A = 0, N``9 = 0, N``8 = 0, \
    N``7 = 0, N``6 = 0, N``5 = 0, N``4 = 0, N``3 = 0, N``2 = 0, N``1 = 0, N``0 = 0

// Block memory of 18 kbit with two ports. A port of 36 bits makes it a pseudo dual port memory: then
// port A only writes, DIB and DIA, and port B only reads, to DOB and DOA.
module pendula_DP16KD(
    input `PINS18(DIA), `PINS14(ADA), CEA, OCEA, CLKA, WEA, RSTA, CSA2, CSA1, CSA0,
    input `PINS18(DIB), `PINS14(ADB), CEB, OCEB, CLKB, WEB, RSTB, CSB2, CSB1, CSB0,
    output `PINS18(DOA), `PINS18(DOB)
);
    parameter DATA_WIDTH_A = 18, DATA_WIDTH_B = 18;
    parameter REGMODE_A = "NOREG", REGMODE_B = "NOREG";
    parameter RESETMODE = "SYNC", ASYNC_RESET_RELEASE = "SYNC";
    parameter CSDECODE_A = "0b000", CSDECODE_B = "0b000";
    parameter WRITEMODE_A = "NORMAL", WRITEMODE_B = "NORMAL";
    parameter CLKAMUX = "CLKA", CLKBMUX = "CLKB";
    parameter GSR = "ENABLED";
    parameter [319:0] `ZEROS(INITVAL_0), `ZEROS(INITVAL_1), `ZEROS(INITVAL_2), `ZEROS(INITVAL_3);

    generate
        if (REGMODE_A != "NOREG" || REGMODE_B != "NOREG" || ASYNC_RESET_RELEASE != RESETMODE
                || CSDECODE_A != "0b000" || CSDECODE_B != "0b000"
                || (CLKAMUX != "CLKA" && CLKAMUX != "INV")
                || (CLKBMUX != "CLKB" && CLKBMUX != "INV"))
            DP16KD_mode_without_a_model refused();
    endgenerate

    // Pairs of words; a row of 320 bits initialises 16 words of 18 bits, 20 bits apart.
    localparam [64 * 320 - 1:0] INIT = {
        `ROWS(INITVAL_3), `ROWS(INITVAL_2), `ROWS(INITVAL_1), `ROWS(INITVAL_0)};
    reg [35:0] memory [0:511];
    integer pair;
    initial
        for (pair = 0; pair < 512; pair = pair + 1)
            memory[pair] = {INIT[40 * pair + 20 +: 18], INIT[40 * pair +: 18]};

    wire clka = CLKAMUX == "INV" ? ~CLKA : CLKA;
    wire clkb = CLKBMUX == "INV" ? ~CLKB : CLKB;
    wire [13:0] ada = {`PINS14(ADA)};
    wire [13:0] adb = {`PINS14(ADB)};
    wire [35:0] mask_a, mask_b, data_a, data_b, read_a, read_b;
    wire write_a, write_b;

    pendula_DP16KD_port #(DATA_WIDTH_A, WRITEMODE_A, RESETMODE) a(
        clka, CEA & ~(CSA2 | CSA1 | CSA0), WEA, RSTA, ada, {`PINS18(DIB), `PINS18(DIA)},
        memory[ada[13:5]], write_a, mask_a, data_a, read_a);
    pendula_DP16KD_port #(DATA_WIDTH_B, WRITEMODE_B, RESETMODE) b(
        clkb, CEB & ~(CSB2 | CSB1 | CSB0), WEB & DATA_WIDTH_B != 36, RSTB, adb,
        {18'd0, `PINS18(DIB)}, memory[adb[13:5]], write_b, mask_b, data_b, read_b);

    integer bit_a, bit_b;
    always @(posedge clka)
        if (write_a)
            for (bit_a = 0; bit_a < 36; bit_a = bit_a + 1)
                if (mask_a[bit_a]) memory[ada[13:5]][bit_a] <= data_a[bit_a];
    always @(posedge clkb)
        if (write_b)
            for (bit_b = 0; bit_b < 36; bit_b = bit_b + 1)
                if (mask_b[bit_b]) memory[adb[13:5]][bit_b] <= data_b[bit_b];

    assign {`PINS18(DOB), `PINS18(DOA)} =
        DATA_WIDTH_B == 36 ? read_b : {read_b[17:0], read_a[17:0]};
endmodule

// One port: which bits of a pair of words it writes, and its output latch.
module pendula_DP16KD_port #(
    parameter WIDTH = 18, WRITEMODE = "NORMAL", RESETMODE = "SYNC"
) (
    input clk, enable, we, reset,
    input [13:0] address,
    input [35:0] written, present,
    output write,
    output [35:0] mask, data,
    output reg [35:0] read
);
    generate
        if ((WIDTH != 1 && WIDTH != 2 && WIDTH != 4 && WIDTH != 9 && WIDTH != 18 && WIDTH != 36)
                || (WRITEMODE != "NORMAL" && WRITEMODE != "WRITETHROUGH"
                    && WRITEMODE != "READBEFOREWRITE")
                || (RESETMODE != "SYNC" && RESETMODE != "ASYNC"))
            DP16KD_mode_without_a_model refused();
    endgenerate

    localparam [35:0] ONES = 36'hfffffffff >> (36 - WIDTH);
    wire [35:0] enables = {
        {9{WIDTH != 36 | address[3]}}, {9{WIDTH != 36 | address[2]}},   // of bytes, in wide ports
        {9{WIDTH < 18 | address[1]}}, {9{WIDTH < 18 | address[0]}}};
    wire [5:0] shift = (WIDTH <= 18 && address[4] ? 18 : 0) + (WIDTH <= 9 && address[3] ? 9 : 0)
        + (WIDTH <= 4 && address[2] ? 4 : 0) + (WIDTH <= 2 && address[1] ? 2 : 0)
        + (WIDTH == 1 && address[0] ? 1 : 0);
    wire sync_reset = RESETMODE == "SYNC" & reset;
    wire async_reset = RESETMODE == "ASYNC" & reset;

    assign write = enable & we & ~sync_reset;
    assign mask = (ONES & enables) << shift;
    assign data = written << shift;
    wire [35:0] shown = WRITEMODE == "WRITETHROUGH" & we ? present & ~mask | data & mask : present;

    initial read = 0;
    always @(posedge clk or posedge async_reset)
        if (async_reset | sync_reset) read <= 0;
        else if (enable && !(we && WRITEMODE == "NORMAL")) read <= shown >> shift & ONES;
endmodule

// Product of 18 bits by 18 bits, signed or not: without registers, or with those before the factors and
// behind the product, and those between or not. C only leads to the ALU. The inputs that SOURCEA and
// SOURCEB choose do not exist here, so a netlist that has them is refused.
module pendula_MULT18X18D(
    input `PINS18(A), `PINS18(B), `PINS18(C), SIGNEDA, SIGNEDB, SOURCEA, SOURCEB, CLK0, CE0, RST0,
    output `PINS36(P)
);
    parameter REG_INPUTA_CLK = "NONE", REG_INPUTA_CE = "CE0", REG_INPUTA_RST = "RST0";
    parameter REG_INPUTB_CLK = "NONE", REG_INPUTB_CE = "CE0", REG_INPUTB_RST = "RST0";
    parameter REG_PIPELINE_CLK = "NONE", REG_PIPELINE_CE = "CE0", REG_PIPELINE_RST = "RST0";
    parameter REG_OUTPUT_CLK = "NONE", REG_OUTPUT_CE = "CE0", REG_OUTPUT_RST = "RST0";
    localparam REGISTERS = REG_OUTPUT_CLK == "CLK0", PIPELINE = REG_PIPELINE_CLK == "CLK0";

    generate
        if (REG_INPUTA_CLK != REG_OUTPUT_CLK || REG_INPUTB_CLK != REG_OUTPUT_CLK
                || (REG_OUTPUT_CLK != "NONE" && REG_OUTPUT_CLK != "CLK0")
                || (REG_PIPELINE_CLK != "NONE" && REG_PIPELINE_CLK != REG_OUTPUT_CLK)
                || REG_INPUTA_CE != "CE0" || REG_INPUTB_CE != "CE0"
                || REG_PIPELINE_CE != "CE0" || REG_OUTPUT_CE != "CE0"
                || REG_INPUTA_RST != "RST0" || REG_INPUTB_RST != "RST0"
                || REG_PIPELINE_RST != "RST0" || REG_OUTPUT_RST != "RST0")
            MULT18X18D_mode_without_a_model refused();
    endgenerate

    wire signed [18:0] a = $signed({SIGNEDA & A17, `PINS18(A)});
    wire signed [18:0] b = $signed({SIGNEDB & B17, `PINS18(B)});
    reg signed [18:0] a_register = 0, b_register = 0;
    wire signed [37:0] product = REGISTERS ? a_register * b_register : a * b;
    reg [35:0] between = 0, p_register = 0;
    always @(posedge CLK0)
        if (RST0) begin
            a_register <= 0;
            b_register <= 0;
            between <= 0;
            p_register <= 0;
        end else if (CE0) begin
            a_register <= a;
            b_register <= b;
            between <= product[35:0];
            p_register <= PIPELINE ? between : product[35:0];
        end
    assign {`PINS36(P)} = REGISTERS ? p_register : product[35:0];
endmodule

// Memory of 16 words of 4 bits in LUTs.
module pendula_TRELLIS_DPR16X4(
    input [3:0] DI, WAD, RAD,
    input WCK, WRE,
    output [3:0] DO
);
    parameter [63:0] INITVAL = 0;
    parameter WCKMUX = "WCK", WREMUX = "WRE";

    generate
        if ((WCKMUX != "WCK" && WCKMUX != "INV") || WREMUX != "WRE")
            TRELLIS_DPR16X4_mode_without_a_model refused();
    endgenerate

    reg [3:0] memory [0:15];
    integer word;
    initial
        for (word = 0; word < 16; word = word + 1)
            memory[word] = INITVAL[4 * word +: 4];

    wire clk = WCKMUX == "INV" ? ~WCK : WCK;
    always @(posedge clk)
        if (WRE) memory[WAD] <= DI;
    assign DO = memory[RAD];
endmodule
