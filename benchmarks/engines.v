// Replays bytes from input.hex into the device, and prints the bytes that it sends.
module bench;
    parameter BYTES = 1;
    reg clk = 0, valid = 1;
    reg [7:0] bytes [0:BYTES - 1];
    integer sent = 0, cycles = 0;
    reg taken;
    wire ready, o_valid, busy;
    wire [7:0] payload;

    top device(.clk(clk), .i_payload(bytes[sent]), .i_valid(valid), .i_ready(ready),
        .o_payload(payload), .o_valid(o_valid), .o_ready(1'b1), .busy(busy));

    initial begin
        $readmemh("input.hex", bytes);
        #1;
        while (valid || busy) begin
            if (o_valid) $display("%02x", payload);
            taken = valid && ready;
            #1 clk = 1;
            #1 clk = 0;
            sent = sent + taken;
            valid = sent < BYTES;
            cycles = cycles + 1;
            #1;
        end
        $display("cycles %0d", cycles);
        $finish;
    end
endmodule
