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
         * @description Downloads the calibration file of this model and head.
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
         * @description Streams relevancy maps of answer tokens, each when it is ready. Closing the connection stops the run.
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
         * @description Answers a question about one or more images as a stream of rows. Closing the connection stops the answer.
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
         * @description Downloads a file of the exported head, by the path that `model` returns.
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
         * @description Confirms that the model is loaded and accepts questions.
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
         * @description Describes the loaded model and the requests that it accepts.
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
         * @description Cancels a running or waiting run. Its stream ends with an `end` row whose reason is `cancelled`.
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
         * @description Returns rows of the output layer. The product of a row and a hidden state is the logit of the row's token.
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
         * @description The calibration file of this model and head, with `n` answers (docs/calibration.md).
         *
         *     `path` is relative to `/v1/` and changes with the content.
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
         * @description The `request` part of an explanation.
         *
         *     `answerIds` are the token ids of the complete answer without its end token, `logProbs` their log-probabilities as
         *     streamed, and `tokenIndices` the indices of the tokens to explain. `pixels` is as in `GenerateRequest`.
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
            /**
             * Pixels
             * @default null
             */
            pixels?: components["schemas"]["Pixels"] | components["schemas"]["Pixels"][] | null;
            /** Question */
            question: string;
            /** Tokenindices */
            tokenIndices: number[];
        };
        /**
         * GenerateRequest
         * @description The `request` part of a question.
         *
         *     Temperature 0 decodes greedily. Without a seed, a random one is used and returned in the run's header. With
         *     `sendUnembedding`, the stream has the unembedding rows of its tokens, if the model `streamsUnembedding`. With
         *     `pixels`, the image must decode to exactly these; for several images, it is a list with one entry per image.
         */
        GenerateRequest: {
            /**
             * Maxnewtokens
             * @default null
             */
            maxNewTokens?: number | null;
            /**
             * Pixels
             * @default null
             */
            pixels?: components["schemas"]["Pixels"] | components["schemas"]["Pixels"][] | null;
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
             * Sendunembedding
             * @default false
             */
            sendUnembedding?: boolean;
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
         * @description The FastRM head, which the page applies to the hidden states of a run.
         *
         *     `match` says whether it was trained on this model: `same`, `unverified` if the head's description has nothing to
         *     compare, or `other` if the companion was told to use it nevertheless. Its maps of another model are meaningless.
         */
        HeadFacts: {
            /** Classificationthreshold */
            classificationThreshold: number;
            files: components["schemas"]["HeadFiles"];
            /** Hiddensize */
            hiddenSize: number;
            /** Labellingthreshold */
            labellingThreshold: number;
            /**
             * Match
             * @enum {string}
             */
            match: "same" | "unverified" | "other";
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
            trainedOn: components["schemas"]["TrainedOn"];
        };
        /**
         * HeadFile
         * @description A file of the exported head. `path` is relative to `/v1/` and changes with the content.
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
         * @description The files fastrm.onnx, fastrm-norm.onnx and fastrm.bin, which holds the external data of fastrm.onnx.
         *
         *     `textWeights` is fastrm-text.bin, or null: with it in place of fastrm.bin, the graph weighs the prompt's text
         *     tokens.
         */
        HeadFiles: {
            graph: components["schemas"]["HeadFile"];
            normGraph: components["schemas"]["HeadFile"];
            textWeights: components["schemas"]["HeadFile"] | null;
            weights: components["schemas"]["HeadFile"];
        };
        /**
         * Health
         * @description The model is loaded and accepts questions.
         *
         *     `protocol` is the version of the run format, `explanationFormat` that of the explanation format.
         */
        Health: {
            /**
             * Explanationformat
             * @default 1
             * @constant
             */
            explanationFormat: 1;
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
         * @description Limits on requests, checked before any work is done.
         *
         *     `imageBytes` and `imagePixels` apply to all images of a question together, of which there may be `images`.
         *     `imageAspectRatio` is how many times longer the longer side may be. `imageFormats` are media types. `explainBytes` is the memory that one explanation may use.
         *     `unembeddingIds` is the maximum number of token ids in one request for unembedding rows.
         */
        Limits: {
            /** Explainbytes */
            explainBytes: number;
            /** Imageaspectratio */
            imageAspectRatio: number;
            /** Imagebytes */
            imageBytes: number;
            /** Imageformats */
            imageFormats: string[];
            /** Imagepixels */
            imagePixels: number;
            /** Images */
            images: number;
            /** Questionchars */
            questionChars: number;
            /** Queuelength */
            queueLength: number;
            /** Unembeddingids */
            unembeddingIds: number;
        };
        /**
         * ModelFacts
         * @description The loaded model and the requests that it accepts.
         *
         *     `weights` identifies the weights, whatever the names of their files and folder; null if unknown. `maxPromptTokens`
         *     counts text tokens, including those of the chat template. `methods` lists the methods that can
         *     explain the model's answers: `fastrm` with the head, the others with `explain`. `refusedMethods` lists those that
         *     cannot, because of how the model is built. `unembedding` says whether unembedding rows are available, and
         *     `streamsUnembedding` whether `generate` sends them with the tokens if asked to.
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
            /** Refusedmethods */
            refusedMethods: components["schemas"]["RefusedMethod"][];
            /** Revision */
            revision: string;
            /**
             * Stage
             * @default post_norm
             * @constant
             */
            stage: "post_norm";
            /** Streamsunembedding */
            streamsUnembedding: boolean;
            /** Traincommand */
            trainCommand: string;
            /** Unembedding */
            unembedding: boolean;
            /** Weights */
            weights: string | null;
        };
        /**
         * Pixels
         * @description The pixels that the client shows: the upright size, and the SHA-256 of the RGB bytes, row by row.
         */
        Pixels: {
            /** Heightpx */
            heightPx: number;
            /** Sha256 */
            sha256: string;
            /** Widthpx */
            widthPx: number;
        };
        /**
         * Problem
         * @description An RFC 9457 problem document. If something is too large, `found` is its size and `limit` the maximum.
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
        /**
         * RefusedMethod
         * @description A method that cannot explain the model's answers, and why.
         */
        RefusedMethod: {
            /**
             * Method
             * @enum {string}
             */
            method: "chefer" | "chefer-incremental" | "gradcam" | "feature-gradcam" | "dex-ar" | "tam" | "rollout" | "attention" | "random";
            /** Reason */
            reason: string;
        };
        /**
         * TrainedOn
         * @description The model that a head was trained on.
         */
        TrainedOn: {
            /** Name */
            name: string;
            /** Revision */
            revision: string;
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
                    /** @description PNG, JPEG or WebP files in order, one part each, with a filename. */
                    image: string[];
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
                    /** @description PNG, JPEG or WebP files in order, one part each, with a filename. */
                    image: string[];
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
