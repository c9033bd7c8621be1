/* Step times read from a table; step_table.py fills it. */
#include "core.h"

#include <math.h>

/* The last knot at or below the value, at most the last but one. */
static int64_t at(const double *knots, int64_t count, double value) {
    int64_t low = 0, high = count;
    while (low < high) { /* bisect_right */
        int64_t middle = (low + high) / 2;
        if (value < knots[middle])
            high = middle;
        else
            low = middle + 1;
    }
    low -= 1;
    if (low > count - 2)
        low = count - 2;
    return low < 0 ? 0 : low;
}

static const double *row_of(Simulation *sim, Table *table, int64_t mixed, int64_t row) {
    const double **rows = mixed ? table->mixed : table->rows;
    if (!mixed && row >= table->rows_count)
        stop(sim, OUT_OF_DOMAIN);
    if (!rows[row] && !sim->service->fill_row(table - sim->service->tables, mixed, row))
        stop(sim, INTERRUPTED);
    return rows[row];
}

double decode_s(Simulation *sim, Table *table, int64_t batch, double context) {
    const double *row = row_of(sim, table, 0, batch);
    double mean = context / (double)batch;
    int64_t i = at(table->knots, table->knots_count, mean);
    return row[i] + (mean - table->knots[i]) * row[table->knots_count + i];
}

static double imbalance(const Step *step, int64_t ranks) {
    if (ranks == 1 || !step->prefill)
        return 1.0;
    double share = (double)(ranks * step->largest) / (double)step->prefill;
    return sqrt(share > 1.0 ? share : 1.0);
}

static double exact(Simulation *sim, Table *table, const Step *step) {
    double more = imbalance(step, table->ranks), seconds = 0.0;
    double batch[6] = {(double)step->decode,
                       (double)step->context,
                       (double)step->prefill * more,
                       (double)step->prefill_sequences,
                       step->pairs * more,
                       (double)step->sampled};
    if (!sim->service->price_step(table - sim->service->tables, batch, &seconds))
        stop(sim, INTERRUPTED);
    return seconds;
}

double step_seconds(Simulation *sim, Table *table, const Step *step) {
    if (!step->prefill)
        return decode_s(sim, table, step->decode, (double)step->context);
    if (table->joins && step->prefill == step->prefill_sequences)
        return decode_s(sim, table, step->decode + step->prefill, (double)step->context + step->pairs);
    double tokens = (double)step->prefill;
    if (table->ranks > 1)
        tokens *= imbalance(step, table->ranks);
    double batch = (double)step->decode;
    if (step->prefill_sequences < table->ranks || tokens > table->prefills[table->prefills_count - 1] ||
        batch > table->batches[table->batches_count - 1])
        return exact(sim, table, step);
    int64_t b = at(table->batches, table->batches_count, batch);
    int64_t p = at(table->prefills, table->prefills_count, tokens);
    double bw = (batch - table->batches[b]) / (table->batches[b + 1] - table->batches[b]);
    double pw = (tokens - table->prefills[p]) / (table->prefills[p + 1] - table->prefills[p]);
    const double *knots = table->coarse;
    int64_t n = table->coarse_count;
    double mean = step->decode ? (double)step->context / batch : 0.0;
    double attended = step->pairs / (double)step->prefill;
    int64_t c = at(knots, n, mean), a = at(knots, n, attended);
    double cw = (mean - knots[c]) / (knots[c + 1] - knots[c]);
    double aw = (attended - knots[a]) / (knots[a + 1] - knots[a]);
    int64_t here = c * n + a, above = here + n;
    double more = (double)(step->prefill_sequences - table->ranks);
    double total = 0.0;
    for (int i = 0; i < 2; i++) {
        double row_weight = i ? bw : 1 - bw;
        if (row_weight == 0.0)
            continue;
        const double *row = row_of(sim, table, 1, b + i);
        for (int j = 0; j < 2; j++) {
            double column_weight = j ? pw : 1 - pw;
            if (column_weight == 0.0)
                continue;
            const double *v = row + (p + j) * (n * n + 1);
            double left = v[here], right = v[above];
            double low = left + (v[here + 1] - left) * aw;
            double high = right + (v[above + 1] - right) * aw;
            total += row_weight * column_weight * (low + (high - low) * cw + more * v[n * n]);
        }
    }
    return total;
}
