//! WS-Management as Intel AMT speaks it (DMTF DSP0226): envelopes out, replies in. Moves no bytes.
