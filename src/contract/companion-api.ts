// Generated from companion/openapi.json by `npm run api-types`; not written by hand.

export interface paths {
    "/v1/calibration": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Calibration File
         * @description How the entropy of maps goes with right answers, once that has been measured for this model.
         */
        get: operations["calibration"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/explain": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Explain
         * @description Relevancy maps of tokens of an answer, each as it is done. Closing the connection ends it.
         */
        post: operations["explain"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/generate": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Generate
         * @description Answers one question about one picture, as a stream of rows. Closing the connection ends the answer.
         */
        post: operations["generate"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/head/{file}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Head File
         * @description A file of the exported head, by the path that `model` gives.
         */
        get: operations["headFile"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/health": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Health
         * @description That the model is loaded and questions are taken.
         */
        get: operations["health"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/model": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Model
         * @description The model that answers, and what may be asked of it.
         */
        get: operations["model"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/runs/{runId}/cancel": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Cancel
         * @description Ends a run, running or waiting: its stream closes with an `end` row whose reason is `cancelled`.
         */
        post: operations["cancel"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/unembedding": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Unembedding
         * @description Rows of the vocabulary layer: what a hidden state is multiplied with for the logits of these tokens.
         */
        get: operations["unembedding"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
}
export type webhooks = Record<string, never>;
export interface components {
    schemas: {
        /**
         * CalibrationFile
         * @description The calibration of this model and head, of `n` answers (docs/calibration.md). `path` is relative to `/v1/`; it
         *     changes with the content.
         */
        CalibrationFile: {
            /** Bytes */
            bytes: number;
            /** N */
            n: number;
            /** Path */
            path: string;
            /** Sha256 */
            sha256: string;
        };
        /**
         * ExplainRequest
         * @description The `request` part. `answer_ids` are all of the answer without its end token, `log_probs` theirs as they were
         *     streamed; `token_indices` the places of those to be explained.
         */
        ExplainRequest: {
            /** Answerids */
            answerIds: number[];
            /**
             * Logprobs
             * @default null
             */
            logProbs?: number[] | null;
            /** Method */
            method: string;
            /** Question */
            question: string;
            /** Tokenindices */
            tokenIndices: number[];
        };
        /**
         * GenerateRequest
         * @description The `request` part. Temperature 0 is greedy; without a seed one is drawn, and the run's header tells which.
         */
        GenerateRequest: {
            /**
             * Maxnewtokens
             * @default null
             */
            maxNewTokens?: number | null;
            /** Question */
            question: string;
            /**
             * Seed
             * @default null
             */
            seed?: number | null;
            /**
             * Sendimage
             * @default false
             */
            sendImage?: boolean;
            /**
             * Temperature
             * @default 0
             */
            temperature?: number;
            /**
             * Topp
             * @default 1
             */
            topP?: number;
        };
        /**
         * HeadFacts
         * @description The FastRM head, run by the page on the hidden states of a run.
         */
        HeadFacts: {
            /** Classificationthreshold */
            classificationThreshold: number;
            files: components["schemas"]["HeadFiles"];
            /** Hiddensize */
            hiddenSize: number;
            /** Labellingthreshold */
            labellingThreshold: number;
            /** Name */
            name: string;
            /** Revision */
            revision: string;
            /**
             * Stage
             * @enum {string}
             */
            stage: "post_norm" | "pre_norm";
            /** Teacher */
            teacher: string;
        };
        /**
         * HeadFile
         * @description A file of the exported head. `path` is relative to `/v1/`; it changes with the content.
         */
        HeadFile: {
            /** Bytes */
            bytes: number;
            /** Path */
            path: string;
            /** Sha256 */
            sha256: string;
        };
        /**
         * HeadFiles
         * @description fastrm.onnx, fastrm-norm.onnx and fastrm.bin, which both graphs name as their external data.
         */
        HeadFiles: {
            graph: components["schemas"]["HeadFile"];
            normGraph: components["schemas"]["HeadFile"];
            weights: components["schemas"]["HeadFile"];
        };
        /**
         * Health
         * @description That the model is loaded and questions are taken. `protocol` is the run format's version.
         */
        Health: {
            /**
             * Protocol
             * @default 2
             * @constant
             */
            protocol: 2;
            /**
             * Status
             * @default ready
             * @constant
             */
            status: "ready";
            /** Version */
            version: string;
        };
        /**
         * Limits
         * @description What is refused before any work is done. Formats are media types; `explain_bytes` is what one explanation may
         *     take, `unembedding_ids` how many rows may be asked for at once.
         */
        Limits: {
            /** Explainbytes */
            explainBytes: number;
            /** Imagebytes */
            imageBytes: number;
            /** Imageformats */
            imageFormats: string[];
            /** Imagepixels */
            imagePixels: number;
            /** Questionchars */
            questionChars: number;
            /** Queuelength */
            queueLength: number;
            /** Unembeddingids */
            unembeddingIds: number;
        };
        /**
         * ModelFacts
         * @description The model that answers, and what may be asked of it. `max_prompt_tokens` counts text tokens, the template's own
         *     included; `methods` are those that can be had of its answers: FastRM by its head, the others by `explain`.
         */
        ModelFacts: {
            calibration: components["schemas"]["CalibrationFile"] | null;
            /** Device */
            device: string;
            /** Dtype */
            dtype: string;
            /** Family */
            family: string;
            head: components["schemas"]["HeadFacts"] | null;
            /** Hiddensize */
            hiddenSize: number;
            /** Knows */
            knows: string;
            limits: components["schemas"]["Limits"];
            /** Maxnewtokens */
            maxNewTokens: number;
            /** Maxprompttokens */
            maxPromptTokens: number;
            /** Methods */
            methods: ("fastrm" | ("chefer" | "chefer-incremental" | "gradcam" | "feature-gradcam" | "dex-ar" | "tam" | "rollout" | "attention" | "random"))[];
            /** Name */
            name: string;
            /** Revision */
            revision: string;
            /**
             * Stage
             * @default post_norm
             * @constant
             */
            stage: "post_norm";
            /** Traincommand */
            trainCommand: string;
            /** Unembedding */
            unembedding: boolean;
        };
        /**
         * Problem
         * @description RFC 9457. `limit` and `found` are the two numbers where something is too large or too long.
         */
        Problem: {
            /** Detail */
            detail: string;
            /**
             * Found
             * @default null
             */
            found?: number | null;
            /**
             * Limit
             * @default null
             */
            limit?: number | null;
            /** Status */
            status: number;
            /** Title */
            title: string;
            /** Type */
            type: string;
        };
    };
    responses: never;
    parameters: never;
    requestBodies: never;
    headers: never;
    pathItems: never;
}
export type $defs = Record<string, never>;
export interface operations {
    calibration: {
        parameters: {
            query?: {
                sha256?: string;
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The file. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/octet-stream": string;
                };
            };
            /** @description Bad Request */
            400: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description Unauthorized */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description Not Found */
            404: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description Unprocessable Entity */
            422: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    explain: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "multipart/form-data": {
                    /**
                     * Format: binary
                     * @description PNG, JPEG or WebP, as a part with a filename.
                     */
                    image: string;
                    request: components["schemas"]["ExplainRequest"];
                };
            };
        };
        responses: {
            /** @description An explanation, format version 1 (docs/protocol.md). */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/vnd.apache.arrow.stream": string;
                };
            };
            /** @description Bad Request */
            400: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description Unauthorized */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description Forbidden */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description Request Timeout */
            408: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description Request Entity Too Large */
            413: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description Unsupported Media Type */
            415: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description Unprocessable Entity */
            422: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description Service Unavailable */
            503: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    generate: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "multipart/form-data": {
                    /**
                     * Format: binary
                     * @description PNG, JPEG or WebP, as a part with a filename.
                     */
                    image: string;
                    request: components["schemas"]["GenerateRequest"];
                };
            };
        };
        responses: {
            /** @description A run, format version 2 (docs/protocol.md). */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/vnd.apache.arrow.stream": string;
                };
            };
            /** @description Bad Request */
            400: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description Unauthorized */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description Forbidden */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description Request Timeout */
            408: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description Request Entity Too Large */
            413: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description Unsupported Media Type */
            415: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description Unprocessable Entity */
            422: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description Service Unavailable */
            503: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    headFile: {
        parameters: {
            query?: {
                sha256?: string;
            };
            header?: never;
            path: {
                file: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The file. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/octet-stream": string;
                };
            };
            /** @description Bad Request */
            400: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description Unauthorized */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description Not Found */
            404: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description Unprocessable Entity */
            422: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    health: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Successful Response */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Health"];
                };
            };
            /** @description Bad Request */
            400: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description Unauthorized */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    model: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Successful Response */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ModelFacts"];
                };
            };
            /** @description Bad Request */
            400: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description Unauthorized */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    cancel: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                runId: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Successful Response */
            204: {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
            /** @description Bad Request */
            400: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description Unauthorized */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description Forbidden */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description Not Found */
            404: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description Unprocessable Entity */
            422: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    unembedding: {
        parameters: {
            query: {
                ids: string;
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Rows of the vocabulary layer, format version 1 (docs/protocol.md). */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/vnd.apache.arrow.stream": string;
                };
            };
            /** @description Bad Request */
            400: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description Unauthorized */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description Not Found */
            404: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description Unprocessable Entity */
            422: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
}
