// The byte port of pendula_sim's harness, on a design from Yosys' write_cxxrtl.

#include <cstdint>

#include "design.cc"

struct Exchange {
    const uint8_t* input;
    uint64_t input_bytes;
    uint8_t* output;
    uint64_t output_bytes;
    uint64_t max_cycles;
    uint64_t consumed;
    uint64_t produced;
    uint64_t cycles;
    uint64_t idle;
};

extern "C" void* pendula_create() {
    auto* top = new cxxrtl_design::p_top;
    top->step();
    return top;
}

extern "C" void pendula_destroy(cxxrtl_design::p_top* top) { delete top; }

extern "C" void pendula_exchange(cxxrtl_design::p_top* device, Exchange* exchange) {
    auto& top = *device;
    uint64_t consumed = 0, produced = 0, cycles = 0;
    bool idle = false;
    top.p_o__ready.set<bool>(true);
    while (cycles < exchange->max_cycles && produced < exchange->output_bytes) {
        const bool pending = consumed < exchange->input_bytes;
        top.p_i__valid.set<bool>(pending);
        if (pending) top.p_i__payload.set<uint8_t>(exchange->input[consumed]);
        top.p_clk.set<bool>(false);
        top.step();
        idle = !pending && !top.p_busy.get<bool>();
        if (idle) break;
        if (top.p_o__valid.get<bool>()) exchange->output[produced++] = top.p_o__payload.get<uint8_t>();
        consumed += pending && top.p_i__ready.get<bool>();
        top.p_clk.set<bool>(true);
        top.step();
        ++cycles;
    }
    exchange->consumed = consumed;
    exchange->produced = produced;
    exchange->cycles = cycles;
    exchange->idle = idle;
}
